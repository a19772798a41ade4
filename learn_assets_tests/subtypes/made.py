"""Invented admissions: clusters of codes planted apart from the number of diagnoses, or none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from learn_assets.subtypes.coded import CodedAdmissions

# Codes that come together in a planted cluster: real ICD-10-CM codes, none of them a patient's.
PROFILES = (
    ("F1120 F1110 F1123 F1124 F1129", "B182 B20 L03113 I330 B1920 K7460 T401X1A R7881 I38"),
    ("F1220 F1210 F12150 F12159 F12250", "F200 F209 F259 F29 F23 R443 R440 F2081 F22"),
    ("F3160 F319 F3110 F3130 F3164", "F308 F39 F341 F340 F3481 R454 F309 F3181 F310"),
    ("F5000 F502 F5002 F5001 F509", "E440 E46 E876 R634 N912 E43 E860 R001 K5900"),
    (
        "F603 F6089 F609 F604 F602",
        "X789XXA T1491XA R45851 Z915 S51811A T43592A S61511A T391X2A",
    ),
    ("F902 F900 F909 F913 F911", "F819 F70 F840 F802 F812 F849 F952 F801 F988"),
)
NOISE = (
    *("Z87891", "J45909", "I10", "E669", "E039", "G43909", "K219", "R51", "L709", "J00"),
    *("N390", "D509", "R109", "H5213", "M545", "Z6281"),
)


@dataclass(frozen=True)
class Made:
    """Admissions and what was planted; `planted` is 0 for everyone when there is nothing."""

    coded: CodedAdmissions
    planted: npt.NDArray[np.int64]


def make_admissions(
    admissions: int, *, clusters: int, seed: int, noise: float = 0.3, longest: int = 15
) -> Made:
    """Return admissions of 2 to `longest` diagnoses; their number says nothing about the cluster.

    A further diagnosis comes from the cluster's profile, or with chance `noise` from codes that all
    share. Without clusters every code is drawn from all profiles alike.
    """
    generator = np.random.default_rng(seed)
    profiles = [tuple(part.split() for part in profile) for profile in PROFILES]
    planted = generator.integers(max(clusters, 1), size=admissions)
    rows = []
    for cluster in planted:
        principals, further = profiles[cluster]
        if not clusters:
            principals = [code for profile in profiles for code in profile[0]]
            further = [code for profile in profiles for code in profile[1]]
        row = [str(generator.choice(principals))]
        for _ in range(1 + min(longest - 2, generator.geometric(0.2))):
            pool = NOISE if generator.random() < noise else [*principals, *further]
            row.append(str(generator.choice(pool)))
        rows.append(row)
    return Made(CodedAdmissions.of(rows), planted)
