"""Makes 60 small frames of copper with ASE's own EMT potential: the data of this trial."""
import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write

frames = []
rng = np.random.default_rng(0)
for _ in range(60):
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.15, seed=int(rng.integers(1 << 30)))
    atoms.calc = EMT()
    atoms.info["REF_energy"] = atoms.get_potential_energy()
    atoms.arrays["REF_forces"] = atoms.get_forces()
    atoms.calc = None
    frames.append(atoms)
write("copper.xyz", frames)
