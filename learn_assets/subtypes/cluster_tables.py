"""Tables of the clusters for a manuscript: subtypes, their codes, evidence, audit and validation.

What belongs here: what is shown in which cell. Small counts are masked, and whatever would give one
away with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from learn_assets.disclosure import shown, shown_parts
from learn_assets.subtypes.bases import ADMISSIONS
from learn_assets.subtypes.cluster_disclosure import ShownCode, shown_codes, shown_shares
from learn_assets.subtypes.cluster_results import SexClusters, SubtypeResults
from learn_assets.subtypes.publication import PublicationTable
from learn_assets.subtypes.words import dominant_words

TOP_CODES = 10
# Below this clusters of the two sexes have little in common, however they are paired.
ALIKE = 0.5
_ABSENT = "-"
_SEVERE = 3
REPRESENTATIONS = {
    "main": "Clustered",
    "baseline": "TF-IDF + SVD",
    "published_texts": "Published texts, count by the published rule",
    "published_texts_and_number": "Published texts, published number",
}
_NUISANCES = {
    "number_of_diagnoses": "Number of diagnoses",
    "year": "Year",
    "region": "Region",
    "length_of_stay": "Length of stay",
}
_OUTCOMES = {
    "stay_days": "Length of stay, days",
    "cost": "APR cost, euros",
    "severity": "APR severity level",
    "mortality_risk": "APR mortality risk",
    "readmission": "Readmission within 30 days",
}
Row = dict[str, Any]


def cluster_publication_tables(results: SubtypeResults) -> tuple[PublicationTable, ...]:
    """Return every table about the clusters."""
    minimum = results.minimum_cell
    return (
        *(subtypes_table(one, minimum) for one in results.sexes),
        *(codes_table(one, minimum) for one in results.sexes),
        evidence_table(results.sexes),
        audit_table(results.sexes),
        validation_table(results.sexes, minimum),
        replication_table(results.sexes, minimum),
        match_table(results),
    )


def subtypes_table(one: SexClusters, minimum_cell: int) -> PublicationTable:
    """Return the clusters of a sex: name, size, words and outcomes they were not made from."""
    frames = [one.admissions.filter(pl.col("cluster") == cluster) for cluster in one.clusters]
    sizes = [frame.height for frame in frames]
    outside = one.admissions.height - sum(sizes)
    shown_sizes = shown_parts([*sizes, outside], minimum_cell)
    severe = shown_shares([_having(frame, "severity", _SEVERE) for frame in frames], minimum_cell)
    again = shown_shares([_having(frame, "readmission", 1) for frame in frames], minimum_cell)
    words, names = dominant_words(one.weights), one.names
    rows: list[tuple[str, ...]] = []
    for place, (cluster, frame) in enumerate(zip(one.clusters, frames, strict=True)):
        size = shown_sizes[place]
        hidden = size.value is None
        share = "" if hidden else f" ({100 * frame.height / one.admissions.height:.1f} %)"
        rows.append(
            (
                one.label(cluster),
                _dotted_name(names[cluster]),
                f"{size.text}{share}",
                _ABSENT if hidden else _patients(frame, minimum_cell),
                _quartiles(frame["stay_days"], minimum_cell),
                _quartiles(frame["cost"], minimum_cell),
                _ABSENT if hidden else severe[place],
                _ABSENT if hidden else again[place],
                ", ".join(words.get(cluster, ())) or _ABSENT,
            )
        )
    if outside:
        rows.append(("No cluster", "", shown_sizes[-1].text, *[_ABSENT] * 6))
    return PublicationTable(
        name=f"table_2_subtypes_{one.word}",
        title=f"Table 2{one.sex}. Subtypes among {one.word} admissions",
        header=(
            "Subtype",
            "Codes that mark it most",
            "Admissions, n (%)",
            "Patients",
            "Stay, days",
            "APR cost, euros",
            "APR severity 3 or 4, n (%)",
            "Readmitted in 30 days, n (%)",
            "Dominant words",
        ),
        rows=tuple(rows),
        notes=(
            str(one.verdict["verdict"]),
            "Names are the two codes with the highest weights among those more frequent in the "
            "subtype than elsewhere (false discovery rate < 0.05), each with its own description. "
            "Stay and cost: median [quartiles]. Dominant words: of all descriptions in the "
            "subtype, by class-based TF-IDF; they belong to no code in particular. Stay, "
            "severity, cost and readmission did not enter the clustering.",
            _masking_note(minimum_cell),
        ),
        widths=(1.2, 2.4, 1.5, 1.2, 1.1, 1.4, 1.25, 1.6, 1.9),
    )


def codes_table(one: SexClusters, minimum_cell: int) -> PublicationTable:
    """Return the codes that weigh most in each cluster, each beside its own description."""
    names = one.names
    rows: list[tuple[str, ...]] = []
    for cluster, codes in shown_codes(one.weights, minimum_cell, TOP_CODES).items():
        rows.append((f"{one.label(cluster)}. {_dotted_name(names[cluster])}", *[""] * 6))
        rows += [_code_row(code, minimum_cell) for code in codes]
    return PublicationTable(
        name=f"table_3_codes_{one.word}",
        title=f"Table 3{one.sex}. Diagnosis codes of each subtype among {one.word} admissions",
        header=(
            "Code and its description",
            "In the subtype, n (%)",
            "Elsewhere, n (%)",
            "Prevalence ratio [95 % interval]",
            "False discovery rate",
            "c-DF-IPF, published",
            "c-DF-IPF, template",
        ),
        rows=tuple(rows),
        notes=(
            "All 20 positions, a code once an admission; codes that fewer than "
            f"{minimum_cell} admissions of the sex have are left out. Order: published weight, the "
            "mean over the subtype of [code present] x ln(N / admissions with the code). Template: "
            "with the factor within the admission and the inverse frequency over subtypes. "
            "False discovery rate: Benjamini-Hochberg over all codes and subtypes.",
            f"≥: a bound, with fewer than {minimum_cell} admissions elsewhere. "
            "-: withheld, as it would give a small count away. " + _masking_note(minimum_cell),
        ),
        widths=(3.3, 1.2, 1.35, 1.5, 1.15, 1.25, 1.2),
    )


def evidence_table(sexes: Sequence[SexClusters]) -> PublicationTable:
    """Return what speaks for each number of clusters that was tried."""
    rows: list[tuple[str, ...]] = []
    notes = []
    for one in sexes:
        for verdict in one.verdicts.iter_rows(named=True):
            name = f"{one.word.capitalize()}, {REPRESENTATIONS[verdict['representation']]}"
            rows.append((name, *[""] * 7))
            tried = one.selection.filter(pl.col("representation") == verdict["representation"])
            rows += [_evidence_row(row) for row in tried.iter_rows(named=True)]
            notes.append(f"{name}: {verdict['verdict']} {verdict['published_verdict'] or ''}")
    return PublicationTable(
        name="table_s3_number_of_clusters",
        title="Table S3. Evidence for each number of clusters",
        header=(
            "Number of clusters",
            "Silhouette",
            "Codes at random",
            "Excess, SD",
            "Jaccard, mean",
            "Jaccard, lowest",
            "Rand index",
            "Prediction strength",
        ),
        rows=tuple(rows),
        notes=(
            *notes,
            "Codes at random: mean silhouette of files whose codes were dealt anew, keeping how "
            "many diagnoses each admission has and how frequent each code is. Jaccard and adjusted "
            "Rand index: over resamples without replacement, by patient where linked. * chosen.",
        ),
    )


def audit_table(sexes: Sequence[SexClusters]) -> PublicationTable:
    """Return what clusters say of how records were kept."""
    rows: list[tuple[str, ...]] = []
    limit = 0.0
    for one in sexes:
        rows.append((f"{one.word.capitalize()} admissions", *[""] * (1 + len(_NUISANCES))))
        for role, words in REPRESENTATIONS.items():
            found = one.audit.filter(pl.col("representation") == role)
            if found.is_empty():
                continue
            limit = float(found["maximum"][0])
            shared = dict(found.select("nuisance", "adjusted_mutual_information").iter_rows())
            cells = (_not_minus_zero(shared[nuisance]) for nuisance in _NUISANCES)
            rows.append((f"  {words}", str(found["clusters"][0]), *cells))
    return PublicationTable(
        name="table_s4_nuisance_audit",
        title="Table S4. Do clusters follow from how records were kept?",
        header=("Clusters", "Number", *_NUISANCES.values()),
        rows=tuple(rows),
        notes=(
            "Adjusted mutual information: 0 what chance gives, 1 when one follows from the other. "
            f"Clusters that share {limit:.2f} or more with the number of diagnoses are refused.",
            "Published texts: codes looked up with their dot, as in the published code, so nearly "
            "all become one word; a frozen encoder stands in for its language model.",
        ),
    )


def validation_table(sexes: Sequence[SexClusters], minimum_cell: int) -> PublicationTable:
    """Return how outcomes that no cluster was made from differ between clusters."""
    rows: list[tuple[str, ...]] = []
    for one in sexes:
        rows.append((f"{one.word.capitalize()} admissions", *[""] * 5))
        first = {
            row["outcome"]: row
            for row in one.validation.filter(pl.col("basis") != ADMISSIONS).iter_rows(named=True)
        }
        rows += [
            _validation_row(row, first.get(row["outcome"]), one.admissions.height, minimum_cell)
            for row in one.validation.filter(pl.col("basis") == ADMISSIONS).iter_rows(named=True)
        ]
    return PublicationTable(
        name="table_s5_validation",
        title="Table S5. Outcomes by subtype, none of which entered the clustering",
        header=(
            "Outcome",
            "Test",
            "Admissions with a value",
            "Effect",
            "p (Holm)",
            "Effect, first admissions",
        ),
        rows=tuple(rows),
        notes=(
            "Effect: epsilon squared (Kruskal-Wallis) or Cramer's V (chi-square); 0 no difference, "
            "1 all of it. First admissions: one a patient, where the file links them.",
            _masking_note(minimum_cell),
        ),
    )


def replication_table(sexes: Sequence[SexClusters], minimum_cell: int) -> PublicationTable:
    """Return how clusters of earlier years do in each later year."""
    rows = [
        (
            one.word.capitalize(),
            f"{row['first_year']} to {row['last_year']}",
            str(row["year"]),
            shown(row["admissions"], minimum_cell).text,
            f"{row['rand']:.2f}",
            f"{100 * row['agreement']:.0f} %",
            _ABSENT if row["silhouette"] is None else f"{row['silhouette']:.2f}",
        )
        for one in sexes
        for row in one.replication.iter_rows(named=True)
    ]
    return PublicationTable(
        name="table_s6_replication",
        title="Table S6. Clusters of earlier years in later years",
        header=(
            "Sex",
            "Fitted on",
            "Applied to",
            "Admissions",
            "Rand index",
            "Same subtype",
            "Silhouette",
        ),
        rows=tuple(rows) or (("Nothing to replicate", *[""] * 6),),
        notes=(
            "Vectors and clusters are fitted on the earlier years alone and applied to the later "
            "one; they are compared with clusters found anew in that year. A year with fewer than "
            "20 admissions a cluster is left out.",
        ),
    )


def match_table(results: SubtypeResults) -> PublicationTable:
    """Return which clusters of the two sexes are alike."""
    female, male = results.of("F"), results.of("M")
    rows = [
        (
            *_named(female, row["female_cluster"]),
            *_named(male, row["male_cluster"]),
            _ABSENT if row["similarity"] is None else f"{row['similarity']:.2f}",
            "yes" if (row["similarity"] or 0.0) >= ALIKE else "no",
        )
        for row in results.match.iter_rows(named=True)
    ]
    return PublicationTable(
        name="table_s7_match_of_sexes",
        title="Table S7. Subtypes of females and of males beside each other",
        header=("Female", "Codes", "Male", "Codes", "Similarity", "Alike"),
        rows=tuple(rows),
        notes=(
            "Pairs with the greatest sum of similarities (cosine of the published weights of all "
            f"codes); alike from {ALIKE:.1f} on. A pair below that is only what was left over.",
        ),
        widths=(0.8, 3.0, 0.6, 3.0, 1.0, 0.6),
    )


def _named(one: SexClusters, cluster: int | None) -> tuple[str, str]:
    return ("", "") if cluster is None else (one.label(cluster), _dotted_name(one.names[cluster]))


def dotted(code: str) -> str:
    """Return a code as the classification writes it."""
    return code if len(code) <= 3 else f"{code[:3]}.{code[3:]}"


def _dotted_name(name: str) -> str:
    parts = name.split("; ")
    written = []
    for part in parts:
        text, bracket, code = part.rpartition(" (")
        written.append(f"{dotted(code.rstrip(')'))} {text}" if bracket else part)
    return "; ".join(written)


def _having(frame: pl.DataFrame, column: str, least: int) -> tuple[int, int]:
    known = frame[column].drop_nulls()
    return int((known >= least).sum()), len(known)


def _patients(frame: pl.DataFrame, minimum_cell: int) -> str:
    if frame["patient_number"].null_count():
        return _ABSENT
    patients = frame["patient_number"].n_unique()
    return shown_parts([patients, frame.height - patients], minimum_cell)[0].text


def _quartiles(values: pl.Series, minimum_cell: int) -> str:
    known = values.drop_nulls()
    if len(known) < minimum_cell:
        return _ABSENT
    low, middle, high = (
        known.quantile(share, interpolation="linear") or 0.0 for share in (0.25, 0.5, 0.75)
    )
    return f"{middle:,.0f} [{low:,.0f}, {high:,.0f}]"


def _code_row(code: ShownCode, minimum_cell: int) -> tuple[str, ...]:
    row = code.row
    elsewhere = _ABSENT if code.elsewhere is None else code.elsewhere.text
    if code.elsewhere is not None and code.elsewhere.value is not None and row["elsewhere_size"]:
        elsewhere += f" ({100 * row['elsewhere'] / row['elsewhere_size']:.1f} %)"
    tested = row["false_discovery_rate"] is not None
    open_weight = code.exact or row["elsewhere"] == 0
    return (
        f"  {dotted(code.code)} {code.description}",
        f"{code.inside.text} ({100 * row['prevalence']:.1f} %)",
        elsewhere,
        _ratio(code, minimum_cell) if tested else _ABSENT,
        _rate(row["false_discovery_rate"], open_weight) if tested else _ABSENT,
        f"{row['published_weight']:.2f}" if open_weight else _ABSENT,
        f"{row['template_weight']:.4f}" if open_weight else _ABSENT,
    )


def _ratio(code: ShownCode, minimum_cell: int) -> str:
    row = code.row
    if code.fewer_elsewhere or row["elsewhere"] == 0:
        bound = row["prevalence"] / (max(minimum_cell - 1, 1) / row["elsewhere_size"])
        return f"≥ {bound:.1f}"
    if not code.exact:
        return _ABSENT
    return f"{row['prevalence_ratio']:.1f} [{row['lower']:.1f}, {row['upper']:.1f}]"


def _rate(rate: float, exact: bool) -> str:
    if rate < 0.001:
        return "< 0.001"
    if exact:
        return f"{rate:.3f}"
    return "< 0.05" if rate < 0.05 else "≥ 0.05"


def _evidence_row(row: Row) -> tuple[str, ...]:
    return (
        f"  {row['count']}{'*' if row['chosen'] else ''}",
        f"{row['silhouette']:.2f}",
        f"{row['null_silhouette']:.2f}",
        f"{row['excess']:.1f}",
        f"{row['mean_jaccard']:.2f}",
        f"{row['lowest_jaccard']:.2f}",
        f"{row['rand']:.2f}",
        f"{row['prediction_strength']:.2f}",
    )


def _validation_row(row: Row, first: Row | None, total: int, minimum_cell: int) -> tuple[str, ...]:
    known = shown_parts([row["admissions"], total - row["admissions"]], minimum_cell)[0]
    return (
        f"  {_OUTCOMES[row['outcome']]}",
        row["test"],
        known.text,
        f"{row['effect']:.2f}",
        _number(row["p_holm"]),
        _ABSENT if first is None else f"{first['effect']:.2f}",
    )


def _number(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _not_minus_zero(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00")


def _masking_note(minimum_cell: int) -> str:
    return (
        f"Counts from 1 to {minimum_cell - 1} are masked (<{minimum_cell}), and others withheld "
        "where they would give one away."
    )
