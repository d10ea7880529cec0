"""Every doubt that reading and looking at a table can raise."""

from __future__ import annotations

from scalefit.core.notes import DOUBTS, Doubt

NO_INPUT = DOUBTS.add(
    Doubt(
        name="no-input",
        severity="warning",
        trigger="A loss is found, but no column plays N, D, C or x.",
        meaning="No law has anything to go by.",
        remedy="Map columns: --col N=NAME, --col D=NAME; scalefit columns lists what is not used.",
    )
)
SEPARATOR_GUESSED = DOUBTS.add(
    Doubt(
        name="separator-guessed",
        severity="note",
        trigger="A file called .csv holds no comma in its header but semicolons or tabs.",
        meaning="The cells were split at that sign.",
        remedy="Call the file .tsv, or write commas, if you want no guess.",
    )
)
SPACED_HEADER = DOUBTS.add(
    Doubt(
        name="spaced-header",
        severity="warning",
        trigger="Column names have spaces around them.",
        meaning="The names are used without these spaces.",
        remedy="Take the spaces out of the header.",
    )
)
NAMELESS_COLUMN = DOUBTS.add(
    Doubt(
        name="nameless-column",
        severity="warning",
        trigger="A column has an empty name, for instance after a comma at the end of the header.",
        meaning="The column is not read.",
        remedy="Give it a name, or take the extra commas out.",
    )
)
HUMAN_NUMBERS = DOUBTS.add(
    Doubt(
        name="human-numbers",
        severity="warning",
        trigger="Cells such as 7B or 0.1T stand where numbers are read.",
        meaning="K, M, B (or G) and T were read as 1e3, 1e6, 1e9 and 1e12; such names are rounded.",
        remedy="Write exact counts: a size rounded to 7B may be 4 % off.",
    )
)
MISSING_CELLS = DOUBTS.add(
    Doubt(
        name="missing-cells",
        severity="warning",
        trigger="A cell that is needed is blank, NaN or named by --na.",
        meaning="The row is left out and counted among the excluded rows.",
        remedy="Fill the cell in, or see whether failed runs are missing more often at some sizes.",
    )
)
SUBNORMAL = DOUBTS.add(
    Doubt(
        name="subnormal",
        severity="warning",
        trigger="A number is so small (under 2.3e-308) that a double holds it with fewer digits.",
        meaning="The value is used as the nearest double, which is coarse down there.",
        remedy="Express the column in a smaller unit.",
    )
)
COLUMN_UNREAD = DOUBTS.add(
    Doubt(
        name="column-unread",
        severity="warning",
        trigger="A column's name fits a role that nobody asked for, but its cells are no numbers.",
        meaning="The role stays empty; nothing else changes.",
        remedy="Mend the cell, or ask for the role with --col to have it checked.",
    )
)
COLUMN_NOT_EVERYWHERE = DOUBTS.add(
    Doubt(
        name="column-not-everywhere",
        severity="warning",
        trigger="Some of the files that are read as one table lack a column that others have.",
        meaning="Its cells are blank in their rows, and such rows are left out where it is needed.",
        remedy="Check that the files belong together, or give the column to all of them.",
    )
)
RUNS_RENAMED = DOUBTS.add(
    Doubt(
        name="runs-renamed",
        severity="warning",
        trigger="Sources that are joined use one run name for models of different sizes.",
        meaning="They are different runs, so the name of the source is put in front.",
        remedy="Give every run a name of its own.",
    )
)
ROLE_AMBIGUOUS = DOUBTS.add(
    Doubt(
        name="role-ambiguous",
        severity="note",
        trigger="Several columns fit a role that is not needed for a fit.",
        meaning="The role stays empty rather than guessed.",
        remedy="Name the column with --col.",
    )
)
COMPUTE_NOT_6ND = DOUBTS.add(
    Doubt(
        name="compute-not-6nd",
        severity="warning",
        trigger="The given C differs from 6 N D by more than 20 % in the median row.",
        meaning="C was counted by another rule, N leaves something out, or a unit is wrong.",
        remedy="Say how C was counted; check whether N includes embeddings and D is in tokens. "
        "Laws of N and D spend a budget as 6ND: turn yours into that by the factor in the message.",
    )
)
UNIT_CONVERTED = DOUBTS.add(
    Doubt(
        name="unit-converted",
        severity="note",
        trigger="A column's name says millions, GFLOP or the like, bits per token or perplexity.",
        meaning="Counts are used one by one, compute in FLOP, losses in nats per token.",
        remedy="Rename the column if its name misleads.",
    )
)
INPUT_DERIVED = DOUBTS.add(
    Doubt(
        name="input-derived",
        severity="note",
        trigger="No column gives N or D, but other columns together do.",
        meaning="The missing one follows from C = 6 N D, or D from steps and tokens per step.",
        remedy="Map the column with --col if there is one: the rule leaves out attention.",
    )
)
BITS_PER_BYTE = DOUBTS.add(
    Doubt(
        name="bits-per-byte",
        severity="note",
        trigger="The loss column's name says bits per byte, or per character.",
        meaning="The loss is kept in that unit; so are amplitudes and the irreducible loss.",
        remedy="Compare only with losses in the same unit; exponents do not depend on it.",
    )
)
LAST_ROW_MISSING = DOUBTS.add(
    Doubt(
        name="last-row-missing",
        severity="warning",
        trigger="With --last, the final row of a run has no loss, so an earlier row stands for it.",
        meaning="If the run diverged, its loss is reported as better than it was.",
        remedy="Leave the run out with --where, or give its final loss.",
    )
)
RUNS_DIVERGED = DOUBTS.add(
    Doubt(
        name="runs-diverged",
        severity="warning",
        trigger="With --drop-diverged, a run ends over 10 % above its lowest loss, or without one.",
        meaning="All its rows are left out and listed among the excluded rows.",
        remedy="See whether runs diverge more often at some sizes: then the rest is a selection.",
    )
)
LOSS_SMOOTHED = DOUBTS.add(
    Doubt(
        name="loss-smoothed",
        severity="note",
        trigger="--smooth is given.",
        meaning="A mean over earlier rows lags behind a falling loss, so it is a little too high.",
        remedy="Take the smallest window that calms the curve.",
    )
)
LOSS_CONSTANT = DOUBTS.add(
    Doubt(
        name="loss-constant",
        severity="warning",
        trigger="Every row has the same loss.",
        meaning="There is nothing for a law to explain.",
        remedy="Check that the right column is mapped to L.",
    )
)
SIZE_TIED_TO_DATA = DOUBTS.add(
    Doubt(
        name="size-tied-to-data",
        severity="warning",
        trigger="log N and log D are correlated by more than 0.95 over the settings.",
        meaning="The runs lie near one line: the effects of size and data cannot be told apart.",
        remedy="Add a few runs at a quarter and four times the usual model size.",
    )
)
FEW_SCALES = DOUBTS.add(
    Doubt(
        name="few-scales",
        severity="warning",
        trigger="An input takes fewer than five values that differ by more than 2 %.",
        meaning="A curve with an amplitude, an exponent and a floor is hardly checked by these.",
        remedy="Train at more scales, half a decade apart.",
    )
)
ISOFLOP_EDGE = DOUBTS.add(
    Doubt(
        name="isoflop-edge",
        severity="warning",
        trigger="At one budget the lowest loss is at the smallest or largest model trained.",
        meaning="The valley has no bottom yet; its optimum lies outside the sweep.",
        remedy="Add sizes beyond that end at the same budget.",
    )
)
ISOFLOP_FEW = DOUBTS.add(
    Doubt(
        name="isoflop-few",
        severity="warning",
        trigger="A budget has fewer than five model sizes.",
        meaning="The bottom of the valley is located by very few points.",
        remedy="Train at least five sizes per budget.",
    )
)
BUDGET_GAP = DOUBTS.add(
    Doubt(
        name="budget-gap",
        severity="warning",
        trigger="Compute budgets form a ladder in which a rung is missing.",
        meaning="The valley of a budget in between is not seen, and its runs may have been lost.",
        remedy="Look for the runs of that budget, or train them.",
    )
)
DUPLICATE_ROWS = DOUBTS.add(
    Doubt(
        name="duplicate-rows",
        severity="warning",
        trigger="Rows agree in every column that was read.",
        meaning="A run counted twice pulls the fit and makes intervals too narrow.",
        remedy="Take the copies out; true replicates differ in seed or loss.",
    )
)
RUN_OF_MANY_SIZES = DOUBTS.add(
    Doubt(
        name="run-of-many-sizes",
        severity="warning",
        trigger="Rows of one run name have different model sizes.",
        meaning="The name does not name a run, so resampling by run is too coarse.",
        remedy="Map the right column with --col run=..., or use --cluster row.",
    )
)
CHECKPOINTS = DOUBTS.add(
    Doubt(
        name="checkpoints",
        severity="warning",
        trigger="Several rows belong to one run, or the tokens grow row by row at equal N and"
        " neighbours err alike.",
        meaning="Checkpoints of a run share its luck, and losses before the decay is done are not"
        " final losses.",
        remedy="Keep the last row per run with --last, or keep --cluster run, the default.",
    )
)
ROUNDED_LOSS = DOUBTS.add(
    Doubt(
        name="rounded-loss",
        severity="warning",
        trigger="The loss has so few decimals that rounding matters beside its scatter.",
        meaning="Rounding is noise that does not fall with scale.",
        remedy="Export the loss with at least five digits.",
    )
)
DIVERGED_END = DOUBTS.add(
    Doubt(
        name="diverged-end",
        severity="warning",
        trigger="A run ends more than 10 % above its own lowest loss.",
        meaning="The run diverged or overfitted; its last row is no sample of the law.",
        remedy="Leave it out with --where, and say so.",
    )
)
OUTLYING_LOSS = DOUBTS.add(
    Doubt(
        name="outlying-loss",
        severity="warning",
        trigger="A loss lies more than six robust deviations off a smooth surface.",
        meaning="One such row can decide an exponent under a least-squares objective.",
        remedy="Look at the run; keep a robust objective such as t:4.",
    )
)
MAGNITUDE_GAP = DOUBTS.add(
    Doubt(
        name="magnitude-gap",
        severity="warning",
        trigger="One column has a hole of more than 2.5 decades in its values.",
        meaning="Two units may be mixed, such as 7 for 7e9.",
        remedy="Write the whole column in one unit.",
    )
)
OUT_OF_RANGE = DOUBTS.add(
    Doubt(
        name="out-of-range",
        severity="warning",
        trigger="N outside 1e3..1e14, D outside 1e5..1e16 or a loss above 20.",
        meaning="The unit is probably not parameters, tokens or nats.",
        remedy="Write plain counts, or map the right column with --col.",
    )
)
SIZE_UNDEFINED = DOUBTS.add(
    Doubt(
        name="size-undefined",
        severity="note",
        trigger="The name of the N column does not say whether embeddings are counted.",
        meaning="Below about 1e9 parameters the choice moves the exponents.",
        remedy="Say which N it is, for instance by the column name params_nonembed.",
    )
)
REPLICATES = DOUBTS.add(
    Doubt(
        name="replicates",
        severity="note",
        trigger="Settings were run more than once.",
        meaning="Their scatter measures the noise of a run without any law.",
        remedy="None needed.",
    )
)
LOSS_RISES = DOUBTS.add(
    Doubt(
        name="loss-rises",
        severity="warning",
        trigger="The loss grows with scale over the table.",
        meaning="A law that falls will end at a bound.",
        remedy="Check the mapping of L: is it an accuracy or a reward?",
    )
)
NO_SIGNAL = DOUBTS.add(
    Doubt(
        name="no-signal",
        severity="warning",
        trigger="A quadratic surface in the logs explains under 10 % of the variance of log loss.",
        meaning="The loss hardly depends on the inputs that were given.",
        remedy="Check the mapping, and whether another setting drives the loss.",
    )
)
LOG_DAMAGED = DOUBTS.add(
    Doubt(
        name="log-damaged",
        severity="warning",
        trigger="A tracker's log ends in the middle of a record, or records fail their checksum.",
        meaning="What is whole was read; the run may have crashed or may still be writing.",
        remedy="Read it again once the run has ended; copy it again if it had.",
    )
)
LOG_UNREAD = DOUBTS.add(
    Doubt(
        name="log-unread",
        severity="warning",
        trigger="One log among several in a folder cannot be read.",
        meaning="Its run is not in the table, or only as far as other logs tell of it.",
        remedy="Mend or move the log; give it alone to see why it fails.",
    )
)
SETTINGS_UNREAD = DOUBTS.add(
    Doubt(
        name="settings-unread",
        severity="warning",
        trigger="A settings file beside a log holds more than plain lines, such as YAML tags.",
        meaning="These settings are no columns; metrics and the other settings are read.",
        remedy="Write the values that the fit needs as plain `key: value` lines.",
    )
)
NAME_TAKEN = DOUBTS.add(
    Doubt(
        name="name-taken",
        severity="note",
        trigger="A setting of a run has the name of a metric.",
        meaning="The column of that name holds the metric, config.NAME holds the setting.",
        remedy="Map the one you want with --col.",
    )
)
VALUE_INFINITE = DOUBTS.add(
    Doubt(
        name="value-infinite",
        severity="warning",
        trigger="A tracker logged an infinite value.",
        meaning="It is read as missing, so the row is left out where the value is needed.",
        remedy="Look at the run: an infinite loss means that it diverged.",
    )
)
ROUNDED_LOG = DOUBTS.add(
    Doubt(
        name="rounded-log",
        severity="warning",
        trigger="A console log writes numbers with three or four digits, such as 3.07K or 2.34.",
        meaning="Rounding is as large as the scatter of runs about a law.",
        remedy="Read the W&B, TensorBoard or other full-precision log of the same run instead.",
    )
)
COUNTER_CARRIED = DOUBTS.add(
    Doubt(
        name="counter-carried",
        severity="note",
        trigger="A tracker wrote a count of tokens, samples or FLOP at other steps than the loss.",
        meaning="Between two values the earlier one stands, so a count may be one interval behind.",
        remedy="Log the count together with the loss.",
    )
)
RUNS_CENSORED = DOUBTS.add(
    Doubt(
        name="runs-censored",
        severity="warning",
        trigger="Runs whose status says that they failed are at least twice as frequent in one"
        " half of the scale as in the other.",
        meaning="They are left out, and what remains at that end are the runs that survived, whose"
        " losses are not those of all.",
        remedy="Mend and repeat some of the failed runs, or say that the law holds for survivors.",
    )
)
SCHEDULE_UNFINISHED = DOUBTS.add(
    Doubt(
        name="schedule-unfinished",
        severity="warning",
        trigger="A status such as early-stopped or running, or schedule_done = false, stands in a"
        " row in use.",
        meaning="A loss in the middle of a schedule is higher than that of a run planned for that"
        " length.",
        remedy="Use only rows at the end of their schedule, with the --where of the message, or "
        "--last.",
    )
)
TUNING_VARIES = DOUBTS.add(
    Doubt(
        name="tuning-varies",
        severity="warning",
        trigger="The number of tries behind a row and its scale have a rank correlation beyond"
        " 0.5.",
        meaning="The best of k tries is lower by 0.56, 1.03, 1.42, 1.77 deviations for k = 2, 4, 8,"
        " 16, so that uneven tuning bends the curve and moves the irreducible loss.",
        remedy="Tune all scales alike, or keep one try per row.",
    )
)
INPUT_SCATTER = DOUBTS.add(
    Doubt(
        name="input-scatter",
        severity="note",
        trigger="C differs from a constant times 6 N D by more than 10 % from row to row.",
        meaning="Some input is an estimate. Random errors of 10 % matter little; a constant factor"
        " moves amplitudes and the best N, not exponents; an error that grows with scale moves"
        " exponents.",
        remedy="Use counts, not estimates, where you have them.",
    )
)
BOUNDED_METRIC = DOUBTS.add(
    Doubt(
        name="bounded-metric",
        severity="warning",
        trigger="The column that plays L is named like an accuracy, a score or an error rate.",
        meaning="Downstream metrics follow simple laws in a minority of published cases, and they"
        " saturate; a break beyond the data cannot be excluded.",
        remedy="Fit a loss if there is one, and map it from there to the metric.",
    )
)
LOGGED_TWICE = DOUBTS.add(
    Doubt(
        name="logged-twice",
        severity="warning",
        trigger="Runs of two trackers end at the same step with the same loss.",
        meaning="One run that two trackers logged is counted twice; intervals become too narrow.",
        remedy="Keep one of them: --where \"tracker == 'wandb'\".",
    )
)
NAMES_JOINED = DOUBTS.add(
    Doubt(
        name="names-joined",
        severity="note",
        trigger="Runs write one name in several ways, such as val/loss, val.loss and val_loss.",
        meaning="They are one column, for no run has two of them.",
        remedy="Rename one in its tracker if they mean different things.",
    )
)
