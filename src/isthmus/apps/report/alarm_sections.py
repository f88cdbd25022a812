"""The sections on alarms: functions of a context, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from isthmus import plot
from isthmus.apps.report import described
from isthmus.apps.report.alarm_context import AlarmContext, Array, percent
from isthmus.apps.report.pieces import Section, bars, facts, paragraph, picture, table
from isthmus.core.wording import counted
from isthmus.data.gathering import as_images
from isthmus.model import n_parameters
from isthmus.plot.tables import shortened
from isthmus.tasks.members import members_of

MOST_BLAMED = 12
LONGEST_REASON = 160
LEAST_PVALUE = 1e-6
"""Below it a p-value rests on the form of the tail alone."""
FEWEST_ROWS = 20
"""Of which it is told whether they keep a rate of false alarms."""


def verdict(context: AlarmContext) -> Section:
    """How many alarms there are, and what that says of the rows or of the detector."""
    body = paragraph(context.headline, "verdict") + paragraph(context.comparison.verdict)
    if context.moved.told:
        body += paragraph(f"In their order, the rows show {context.moved}.")
    if context.has_both:
        body += described.measured(context.comparison.rows)
    return Section("", body + _by_labels(context))


def _by_labels(context: AlarmContext) -> str:
    known = context.labelled
    if known is None:
        return ""
    if not context.has_both:
        words = f"The labels call {'all' if known.all() else 'none'} of these rows anomalies, so "
        return paragraph(words + "they do not say how well rows are told apart.", "caption")
    n, right = int(known.sum()), int(known[context.alarms].sum())
    words = f"{right:,} of {counted(len(context.alarms), 'alarm')} {'is' if right == 1 else 'are'} "
    words += f"labelled as anomalies; {n - right:,} of {counted(n, 'anomaly', 'anomalies')} gave "
    words += "none. AUROC and AUPRC: 1 is best; ± is one standard error. Plain methods were "
    words += "fitted to the rows that the detector compares with."
    return paragraph(words, "caption")


def alarms(context: AlarmContext) -> Section:
    """The alarms, the strangest first, each with its reasons."""
    if not len(context.alarms):
        return Section("Alarms", paragraph(_none(context)))
    head = ["row" if context.files is None else "file", "score", "p-value"]
    columns = [
        [_called(context, i) for i in context.shown],
        [f"{context.scores[i]:.2f}" for i in context.shown],
        [_pvalue(context.pvalues[i]) for i in context.shown],
    ]
    if context.labelled is not None:
        head.append("labelled")
        columns.append(["anomaly" if context.labelled[i] else "–" for i in context.shown])
    head.append("reasons")
    columns.append([_reasons(row) for row in context.reasons])
    drawn = table(head, zip(*columns, strict=True), wordy=(len(head) - 1,))
    return Section("Alarms", drawn + paragraph(_how_to_read(context), "caption"))


def _none(context: AlarmContext) -> str:
    i = int(context.scores.argmax())
    what = "row" if context.files is None else "file"
    return (
        f"No {what} is strange enough. The strangest is {what} {_called(context, i)}, with a score "
        f"of {context.scores[i]:.2f} and a p-value of {_pvalue(context.pvalues[i])}."
    )


def _called(context: AlarmContext, i: int) -> str:
    return str(i) if context.files is None else context.files[i]


def _pvalue(p: float) -> str:
    return f"{p:.2g}" if p >= LEAST_PVALUE else f"< {LEAST_PVALUE:g}"


def _reasons(row: list[str]) -> str:
    """One a line; a level may be any text."""
    return "\n".join(shortened(reason, LONGEST_REASON) for reason in row) or "–"


def _how_to_read(context: AlarmContext) -> str:
    words = f"Scores are in nats; an alarm has more than {context.threshold:.2f}. The p-value is "
    words += f"the share of {context.usual} that are as strange."
    if not context.of_images:
        words += " What is expected of a column is what it is in rows that are otherwise alike."
    if context.files is None:
        words += " Rows are counted from 0."
    more = len(context.alarms) - len(context.shown)
    if more:
        words += f" These are the {len(context.shown)} strangest; there are {more:,} more alarms, "
        words += "which isthmus detect writes."
    return words


def pictures(context: AlarmContext) -> Section:
    """When rows were strange, and whether the rate of false alarms is kept."""
    drawing = plot.alarms(context.scores, context.threshold)
    said = "Strangeness of each row, in their order, with the threshold"
    drawn = [picture(drawing, said, f"{context.name}-alarms")]
    words = "Each point is a row; alarms are in colour."
    if max(len(context.alarms), len(context) - len(context.alarms)) > plot.MOST_POINTS:
        words += f" Of alarms and of other rows {plot.MOST_POINTS:,} at most are drawn."
    if len(context) >= FEWEST_ROWS:
        known = len(context.detector.known_)
        drawing = plot.promise(context.pvalues, context.rate, known)
        said = "Share of rows that are alarms, over the rate of false alarms"
        drawn.append(picture(drawing, said, f"{context.name}-promise"))
        words += " Beside them, how many alarms there would be at another rate. Where these rows "
        words += (
            f"are like {context.usual}, the line keeps to the dashed one, and chance leaves it "
        )
        words += "in the band. Anomalies lift its left end; data that have moved lift all of it."
    pair = f'<div class="pair">{"".join(drawn)}</div>'
    return Section("Row by row", pair + paragraph(words, "caption"))


def blamed(context: AlarmContext) -> Section | None:
    """The columns that make the alarms strange."""
    if context.of_images or not len(context.alarms) or not context.blame:
        return None
    drawn = bars(
        (shortened(name), nats, f"{nats:.3g}", "plain" if i else "ours")
        for i, (name, nats) in enumerate(context.blame[:MOST_BLAMED])
    )
    words = "By how many nats an alarm would be less strange if the column were not looked at: the "
    words += f"mean over {counted(len(context.shown), 'alarm')}."
    if len(context.blame) > MOST_BLAMED:
        words += f" The {MOST_BLAMED} columns with the most are drawn."
    return Section("Columns to blame", drawn + paragraph(words, "caption"))


def places(context: AlarmContext) -> Section | None:
    """Where images are unlike others."""
    if not context.of_images or not len(context.alarms):
        return None
    names = [_called(context, i) for i in context.shown]
    drawing = plot.heat_maps(as_images(context.rows_shown), context.unlike, names)
    drawn = picture(drawing, "Alarms, tinted where they are unlike others", context.name, "wide")
    words = "The strangest images. The deeper the tint, the more unlike the same part of those "
    words += "fitted on."
    return Section("Where they are unlike others", drawn + paragraph(words, "caption"))


def summary(context: AlarmContext) -> Section:
    """What the detector is, and how the rows that it was fitted on compare with these."""
    detector, model = context.detector, context.model
    known, kept = len(detector.known_), int(detector.kept_.sum())
    told = f"the {kept:,} least strange of {known:,}" if kept < known else f"{known:,}"
    weights = sorted(detector.weights_.items(), key=lambda pair: -pair[1])
    members = counted(members_of(model), "autoencoder")
    pairs = [
        ("Data", described.data(detector.kind_, len(context), context.source)),
        ("Compared with", f"{told} rows fitted on"),
        ("Scales", ", ".join(f"{name} {percent(weight)}" for name, weight in weights)),
        (
            "Threshold",
            f"{context.threshold:.2f} nats, for {percent(context.rate)} of {context.usual}",
        ),
        ("Members", f"{members}, {described.composition(model)}"),
        ("Parameters", f"{n_parameters(model.model_):,}"),
        ("Training", described.training(model)),
    ]
    if context.identity:
        pairs.append(("Identity", context.identity[:16]))
    body = facts(pairs) + described.column_names(model)
    return Section("The detector", body + _beside_known(context))


def _beside_known(context: AlarmContext) -> str:
    """Scores of the rows fitted on, and of these."""
    scores = {"fitted on": context.detector.known_, "these": context.scores}
    lines = ([name, *_spread(values, context.threshold)] for name, values in scores.items())
    head = ["rows", "number", "median score", "99 % are below", "alarms"]
    words = "Scores in nats. Each row fitted on was scored by what was learned of the others."
    return table(head, lines, emphasised=1) + paragraph(words, "caption")


def _spread(scores: Array, threshold: float) -> list[str]:
    n, above = len(scores), int((scores > threshold).sum())
    middle, high = np.quantile(scores, [0.5, 0.99])
    return [f"{n:,}", f"{middle:.2f}", f"{high:.2f}", f"{above:,} ({percent(above / n)})"]


SECTIONS: tuple[Callable[[AlarmContext], Section | None], ...] = (
    verdict,
    alarms,
    places,
    pictures,
    blamed,
    summary,
)
"""All sections, in order; one that has nothing to say returns None."""
