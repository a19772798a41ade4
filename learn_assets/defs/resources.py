"""Resources: the study's lake, opened by each step on its own, and what the machine has free."""

import dagster as dg

from learn_assets.embedding.devices import Devices, probe_devices
from learn_assets.lake import Lake


class LakeResource(dg.ConfigurableResource):
    """The tables of one study under LEARN_HOME."""

    study_name: str
    home: str

    def open(self) -> Lake:
        """Return the lake; LEARN_HOME wins over `home`."""
        from pathlib import Path

        return Lake.open(self.study_name, Path(self.home))


class DevicesResource(dg.ConfigurableResource):
    """GPUs and memory of the machine on which the sensors run."""

    def probe(self) -> Devices:
        """Return what is free now; takes two seconds at most."""
        return probe_devices()
