"""Discharge profiles: what the planted clusters of a synthetic discharge registry are like.

What belongs here: codes and effects of each cluster, and the codes that anybody may have. How
admissions are drawn from them stands in `discharges.py`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """One planted cluster: its codes (most frequent first) and what it does to an admission.

    stay_days: median; severity: chance of each step above 1; readmission: chance of another
    admission after each one.
    """

    name: str
    principal: tuple[str, ...]
    secondary: tuple[str, ...]
    stay_days: float
    severity: float
    readmission: float


def _codes(text: str) -> tuple[str, ...]:
    return tuple(text.split())


PSYCHOSIS = Profile(
    "cannabis_psychosis",
    _codes("F12.150 F12.950 F12.250 F12.259"),
    _codes(
        "F12.20 F29 F20.9 F23 Z91.148 F28 F20.0 F22 Z81.8 F12.220 F25.9 R44.0 R44.1 F20.81 F21"
        " Z79.899 G47.00 F17.210"
    ),
    stay_days=14, severity=0.30, readmission=0.30,
)  # fmt: skip
INTOXICATION = Profile(
    "alcohol_intoxication",
    _codes("F10.120 F10.129 F10.920 F10.929"),
    _codes(
        "F10.10 Y90.8 T51.0X1A R40.20 E16.2 S00.83XA E87.6 R11.10 Y90.6 T68.XXXA W18.30XA S06.0X0A"
        " S09.90XA E87.20 Y90.9 Y92.830 Z71.41 F10.20"
    ),
    stay_days=2, severity=0.08, readmission=0.05,
)  # fmt: skip
DEPENDENCE = Profile(
    "opioid_cocaine_dependence",
    _codes("F11.20 F14.20 F19.20 F11.23"),
    _codes(
        "F14.10 F19.10 B18.2 F13.20 L03.114 Z59.00 F11.10 T40.5X1A Z65.3 B19.10 F15.20 Z20.6"
        " L02.413 Z59.01 T40.1X1A L03.113 R78.81 J69.0"
    ),
    stay_days=9, severity=0.45, readmission=0.35,
)  # fmt: skip
CONDUCT = Profile(
    "conduct_disorder",
    _codes("F91.9 F91.2 F91.3 F90.2"),
    _codes(
        "F12.10 Z62.820 F90.9 F91.1 Z63.8 Z55.3 F63.9 Z62.21 F90.0 Z72.810 Z65.1 Z62.9 F81.9 Z63.5"
        " Z55.8 F63.89 F90.8 Z63.79"
    ),
    stay_days=6, severity=0.15, readmission=0.15,
)  # fmt: skip
SELF_HARM = Profile(
    "self_harm",
    _codes("F60.3 F32.2 F32.9 F33.2"),
    _codes(
        "R45.851 T42.4X2A Z91.51 F43.10 X78.1XXA T39.1X2A Z62.810 S61.512A F43.25 T43.222A Z91.52"
        " S61.511A F60.89 X83.8XXA T43.592A Z62.811 F60.9 X78.0XXA"
    ),
    stay_days=8, severity=0.25, readmission=0.25,
)  # fmt: skip
EATING = Profile(
    "eating_disorder",
    _codes("F50.00 F50.2 F50.9 F50.01"),
    _codes(
        "F41.1 E87.8 R63.4 F42.9 N91.1 Z68.1 F41.9 E46 K59.00 R63.6 D64.9 R00.1 F43.22 E86.0 F41.0"
        " N91.2 E83.42 E43"
    ),
    stay_days=20, severity=0.35, readmission=0.20,
)  # fmt: skip

# Two clusters of each sex are of the other's kind too, so matching them has an answer.
PROFILES: dict[str, tuple[Profile, ...]] = {
    "M": (PSYCHOSIS, INTOXICATION, DEPENDENCE, CONDUCT),
    "F": (SELF_HARM, INTOXICATION, PSYCHOSIS, EATING),
}
CLUSTER_WEIGHTS = (0.32, 0.27, 0.23, 0.18)

# Codes that say nothing about the cluster. Some exist in the Spanish edition alone, so that their
# text is that of the code above, and some in no edition.
BACKGROUND = _codes(
    "J45.20 E66.9 L70.0 H52.13 K02.9 I10 G43.909 J30.9 Z88.0 M54.50 M41.9 K21.9 J06.9 B34.9 R50.9"
    " N39.0 E03.9 E10.9 G40.909 H66.90 Z23 L30.9 R51.9 R10.9 Z82.49 Z83.3 Z81.1 R03.0 M25.50 Z72.0"
    " F16.10 F18.10"
)
ONLY_SPANISH = _codes("J06.91 B34.91 R50.91 N39.01 L30.91")
IN_NO_EDITION = _codes("U99.1 8000/3")
