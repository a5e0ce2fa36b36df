"""Reading runs that are over: what trackers left on disk, without the trackers themselves."""
