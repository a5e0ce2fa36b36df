"""How much each parameter matters, beside its panel."""

from collections.abc import Sequence
from html import escape

from secondshift.interfaces.brief.lookback import Lookback, Weights
from secondshift.interfaces.brief.parameter_figures import Panel
from secondshift.interfaces.messages.catalogue import say


def ordered(panels: Sequence[Panel], weights: Weights | None) -> list[Panel]:
    """The panels, those of the parameters that matter most first; as they are where nothing is known of that."""
    known = dict(weights.shares) if weights is not None else {}
    return sorted(panels, key=lambda panel: -known.get(panel.name, 0.0))


def share_bar(weights: Weights | None, name: str) -> str:
    """A bar with the share of a parameter; empty text where nothing is told of it."""
    share = weights.of(name) if weights is not None else None
    if share is None:
        return ""
    return f'<b class="share" aria-hidden="true"><i style="width:{share:.0%}"></i></b>{share:.0%}'


def weights_note(look: Lookback, lang: str) -> str:
    """What the bars are made from, or why there are none, as HTML."""
    text = weights_told(look, lang)
    return f'<p class="note">{escape(text)}</p>' if text else ""


def weights_told(look: Lookback, lang: str) -> str:
    """The same as a sentence; empty where nobody would expect one."""
    weights = look.weights
    if weights is None:
        return say("weights.few", lang, asked=look.asked, trained=look.trained) if look.asked > 1 else ""
    values = {"n": weights.trials, "trained": weights.trained, "explained_share": weights.explained}
    return say("weights.basis" if weights.shares else "weights.nothing", lang, **values)
