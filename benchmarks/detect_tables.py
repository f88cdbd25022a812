"""The tables of `python -m benchmarks detect`."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean, median

from benchmarks.runner import Answer, Results, heading, markdown

ONE_CLASS, UNSUPERVISED, CONTAMINATED, MISSING = (
    "one-class", "unsupervised", "contaminated", "missing",
)  # fmt: skip
PROTOCOLS = (ONE_CLASS, UNSUPERVISED, CONTAMINATED, MISSING)
CORRUPTED = "corrupted"

WORDS = {
    "ours": "ours, defaults",
    "ours-scales": "ours without its members",
    "knn": "5 neighbours, standardised",
    "knn-1": "the nearest neighbour, standardised",
    "knn-white": "5 neighbours, whitened",
    "knn-normal-scores": "5 neighbours, normal scores",
    "pca": "PCA, error after 90 % of the variance",
    "iforest": "scikit-learn IsolationForest",
    "pyod-autoencoder": "PyOD AutoEncoder",
    "pyod-vae": "PyOD VAE",
    "pyod-knn": "PyOD KNN",
    "pyod-iforest": "PyOD IForest",
    "pyod-ecod": "PyOD ECOD",
}
NEIGHBOURS = ("knn", "knn-1", "knn-white", "knn-normal-scores", "pyod-knn")
AUTOENCODER = "pyod-autoencoder"
MEASURES = {"auroc": "AUROC", "auprc": "AUPRC"}
GAINS = {"auroc": 0.01, "auprc": 0.03}
"""The least that ours is meant to be above the best neighbours, in the mean over sets."""
WINS = 0.9
"""The share of sets on which ours is meant to be above PyOD's AutoEncoder."""
COSTS = {MISSING: 0.015, CONTAMINATED: 0.01}
"""The most AUROC that ours is meant to lose against one-class."""

Runs = dict[tuple[str, str], Answer]
"""By set and seed."""
BySet = dict[str, float]


def grouped(results: Results) -> dict[str, dict[str, Runs]]:
    """By protocol and method, in the order of tables."""
    found: dict[str, dict[str, Runs]] = {}
    for key, cell in results.finished.items():
        protocol, name, method, seed = key.split(" | ")
        found.setdefault(protocol, {}).setdefault(method, {})[name, seed] = cell
    return {
        protocol: {method: methods[method] for method in WORDS if method in methods}
        for protocol in (*PROTOCOLS, CORRUPTED)
        if (methods := found.get(protocol))
    }


def average(cells: Iterable[tuple[str, float]]) -> BySet:
    """The mean over seeds, of pairs of a set and a figure."""
    found: dict[str, list[float]] = {}
    for name, value in cells:
        found.setdefault(name, []).append(value)
    return {name: fmean(values) for name, values in found.items()}


def bold(text: str, missed: bool) -> str:
    return f"**{text}**" if missed else text


class Compared:
    """The methods of a protocol, on the sets and seeds that all of them have."""

    def __init__(self, methods: dict[str, Runs]) -> None:
        shared = set.intersection(*map(set, methods.values()))
        self.methods = {
            method: {at: cell for at, cell in runs.items() if at in shared}
            for method, runs in methods.items()
        }
        self.sets = sorted({name for name, _ in shared}, key=natural)

    def by_set(self, method: str, measure: str) -> BySet:
        runs = self.methods[method]
        return average((name, cell[measure]) for (name, _), cell in runs.items())

    def mean(self, method: str, measure: str) -> float:
        return fmean(self.by_set(method, measure).values())

    def seconds(self, method: str, measure: str) -> float:
        return float(median(cell[measure] for cell in self.methods[method].values()))

    def rank(self, method: str) -> float:
        """The mean over sets of the place by AUROC; those that are equal share their places."""
        every = [self.by_set(other, "auroc") for other in self.methods]
        own = self.by_set(method, "auroc")
        return fmean(
            sum((its[name] > own[name]) + (its[name] == own[name]) / 2 for its in every) + 0.5
            for name in own
        )

    def best(self, measure: str, name: str | None = None) -> str | None:
        """The neighbours that are best in the mean over sets, or on one set."""
        there = [method for method in NEIGHBOURS if method in self.methods]

        def figure(method: str) -> float:
            return self.by_set(method, measure)[name] if name else self.mean(method, measure)

        return max(there, key=figure, default=None)

    def wins(self, other: str) -> int:
        """The sets on which ours has the higher AUROC."""
        own, its = (self.by_set(method, "auroc") for method in ("ours", other))
        return sum(own[name] > its[name] for name in own)


def natural(name: str) -> tuple[int, str]:
    """Sets by their number, as ADBench counts them."""
    number, _, _ = name.rpartition("/")[2].partition("_")
    return (int(number) if number.isdigit() else 0, name)


def cost(protocol: str, runs: Runs, reference: Runs) -> float | None:
    """The AUROC lost against one-class, in the mean over the sets that both have.

    Anomalies that contaminate the rows to train on count in neither.
    """
    before = "auroc_fewer" if protocol == CONTAMINATED else "auroc"
    lost = average(
        (at[0], reference[at][before] - cell["auroc"])
        for at, cell in runs.items()
        if at in reference
    )
    return fmean(lost.values()) if lost else None


def wins_shown(compared: Compared, method: str) -> str:
    if method == "ours" or "ours" not in compared.methods:
        return ""
    wins, sets = compared.wins(method), len(compared.sets)
    return bold(f"{wins} of {sets}", method == AUTOENCODER and wins < WINS * sets)


def cost_shown(protocol: str, method: str, lost: float | None) -> str:
    if lost is None:
        return ""
    return bold(f"{lost:+.3f}", method == "ours" and lost > COSTS[protocol])


def methods_table(protocol: str, compared: Compared, reference: dict[str, Runs]) -> str:
    rows = []
    for method in compared.methods:
        row = [WORDS[method]]
        row += [f"{compared.mean(method, measure):.3f}" for measure in MEASURES]
        row += [f"{compared.rank(method):.2f}", wins_shown(compared, method)]
        row += [f"{compared.seconds(method, key):.3f}" for key in ("fit_s", "score_s")]
        if protocol in COSTS:
            lost = cost(protocol, compared.methods[method], reference.get(method, {}))
            row.append(cost_shown(protocol, method, lost))
        rows.append(row)
    head = [
        "method", "AUROC", "AUPRC", "mean rank", "ours is above it on", "fit, s", "score, s",
        *(["AUROC lost against one-class"] if protocol in COSTS else []),
    ]  # fmt: skip
    return markdown(head, rows)


def gains(compared: Compared) -> str:
    """What ours is above the best neighbours."""
    found = []
    for measure, words in MEASURES.items():
        best = compared.best(measure)
        if best is None or "ours" not in compared.methods:
            return ""
        gain = compared.mean("ours", measure) - compared.mean(best, measure)
        shown = bold(f"{gain:+.3f}", gain < GAINS[measure])
        found.append(f"{words} {shown} ({WORDS[best]})")
    return f"\nOurs against the best neighbours: {', '.join(found)}.\n"


def sets_table(compared: Compared) -> str:
    """Ours beside the neighbours that are best in the mean, and those that are best on the set."""
    overall = compared.best("auroc")
    if overall is None or "ours" not in compared.methods:
        return ""

    def both(method: str, name: str) -> str:
        figures = (compared.by_set(method, measure)[name] for measure in MEASURES)
        return " / ".join(f"{figure:.3f}" for figure in figures)

    rows = []
    for name in compared.sets:
        best = compared.best("auroc", name) or overall
        runs = compared.methods["ours"]
        n_train = next(cell["n_train"] for at, cell in runs.items() if at[0] == name)
        row = [name.removeprefix("adbench/"), f"{n_train:,}", both("ours", name)]
        rows.append([*row, both(overall, name), f"{both(best, name)} ({best})"])
    head = ["AUROC / AUPRC", "rows to train on", "ours", WORDS[overall], "the best neighbours here"]
    return "\n" + markdown(head, rows)


def protocol_text(protocol: str, methods: dict[str, Runs], reference: dict[str, Runs]) -> str:
    compared = Compared(methods)
    text = f"\n### {protocol}\n"
    if not compared.sets:
        return text + "\nThere is no set that all methods have.\n"
    first = next(iter(compared.methods.values()))
    text += f"\nSets: {len(compared.sets)}, seeds: {len({seed for _, seed in first})}"
    if protocol == CONTAMINATED:
        share = fmean(cell["contamination"] for cell in first.values())
        text += f"; {100 * share:.1f} % of the rows to train on are anomalies in the mean"
    text += ".\n\n" + methods_table(protocol, compared, reference)
    return text + gains(compared) + sets_table(compared)


def alarms_table(cells: list[Answer]) -> str:
    """False alarms of ours among the normal rows of one-class."""
    rows = []
    for rate in cells[0]["alarms"]:
        found = [cell["alarms"][rate] for cell in cells]
        shares = [part["share"] for part in found]
        inside = (sum(part[band] for part in found) for band in ("scored", "both"))
        rows.append([
            f"{float(rate):.0%}", f"{fmean(shares):.2%}", f"{median(shares):.2%}",
            f"{max(shares):.2%}", *(f"{count} of {len(found)}" for count in inside),
        ])  # fmt: skip
    head = [
        "nominal rate of false alarms", "mean", "median", "largest",
        "within 95 % of chance in the rows scored", "and in the rows that calibrate",
    ]  # fmt: skip
    return markdown(head, rows)


def calibration_text(runs: Runs) -> str:
    """What ours says of its own errors."""
    cells = list(runs.values())
    wrong, power = (fmean(cell[measure] for cell in cells) for measure in ("fdp", "power"))
    none = sum(cell["selected"] == 0 for cell in cells)
    text = "\n### false alarms and discoveries of ours, one-class\n\n" + alarms_table(cells)
    text += (
        f"\nSelected at a false discovery rate of 10 %: {100 * wrong:.1f} % of the selected rows "
        f"are normal and {100 * power:.1f} % of the anomalies are selected, means over "
        f"{len(cells)} fits; {none} of them select nothing.\n"
    )
    return text


def corrupted_text(runs: Runs) -> str:
    """Whether a moved feature is the one to blame."""
    measures = ("ours_first", "ours_among", "plain_first", "plain_among")
    found = {m: average((at[0], cell[m]) for at, cell in runs.items()) for m in measures}
    columns = {name: cell["columns"] for (name, _), cell in runs.items()}
    rows = [
        [name.removeprefix("adbench/"), str(columns[name])]
        + [f"{found[measure][name]:.0%}" for measure in measures]
        for name in sorted(columns, key=natural)
    ]
    means = [f"{fmean(found[measure].values()):.1%}" for measure in measures]
    rows.append(["mean", "", *means])
    head = [
        "the moved feature is", "columns", "ours, first", "among the first three",
        "farthest from its mean, first", "among the first three",
    ]  # fmt: skip
    return "\n### one feature moved by 5 standard deviations\n\n" + markdown(head, rows)


def not_measured(results: Results) -> str:
    """Why, and in how many cells."""
    reasons: dict[str, list[str]] = {}
    for key, cell in results.cells.items():
        if key not in results.finished:
            why = cell.get("error", f"{cell.get('missing')} is not installed")
            reasons.setdefault(why, []).append(key)
    return "".join(
        f"\nNot measured in {len(keys)} cells, the first {keys[0]}: {why}.\n"
        for why, keys in sorted(reasons.items())
    )


def measured(results: Results) -> str:
    """All tables."""
    found = grouped(results)
    corrupted = found.pop(CORRUPTED, {})
    reference = found.get(ONE_CLASS, {})
    text = heading(results.data)
    for protocol, methods in found.items():
        text += protocol_text(protocol, methods, reference)
    if "ours" in reference:
        text += calibration_text(reference["ours"])
    if "ours" in corrupted:
        text += corrupted_text(corrupted["ours"])
    return text + targets() + not_measured(results)


def targets() -> str:
    auroc, auprc = GAINS.values()
    return (
        f"\nAt least {auroc} AUROC and {auprc} AUPRC above the best neighbours, above PyOD's "
        f"AutoEncoder on {100 * WINS:.0f} % of the sets, at most {COSTS[MISSING]} AUROC lost to "
        f"gaps and {COSTS[CONTAMINATED]} to anomalies in training are meant; what misses that is "
        "bold.\n"
    )
