"""Every doubt that this wing may attach to a number."""

from scalefit.core.notes import DOUBTS, Doubt

AT_BOUND = DOUBTS.add(
    Doubt(
        name="at-bound",
        severity="warning",
        trigger="a parameter ended within 1e-6 of the edge of its allowed range",
        meaning="The data do not fix it from that side: an E at 0 means that they do not require "
        "a floor, an amplitude at its least that they do not require the term.",
        remedy="Do not quote the parameter. Try a law without it, or widen the range with "
        "--bound NAME=LOW:HIGH.",
    )
)
REACHES_ZERO = DOUBTS.add(
    Doubt(
        name="reaches-zero",
        severity="note",
        trigger="a parameter that cannot be negative is 0 in some refits, though not in the fit",
        meaning="A few runs decide whether there is such a term at all. Its interval cannot be "
        "formed on a logarithm, so it is formed on the number itself and begins at 0.",
        remedy="Compare the law with the one that lacks the term.",
    )
)
WEAKLY_IDENTIFIED = DOUBTS.add(
    Doubt(
        name="weakly-identified",
        severity="warning",
        trigger="the column-scaled Jacobian's condition number lies between 1e6 and 1e8",
        meaning="Some combination of parameters barely changes the fitted losses; separate "
        "values are fragile though the curve may be sound.",
        remedy="Quote predictions near the data rather than parameters, or add runs that differ "
        "in the input named in the message.",
    )
)
NOT_IDENTIFIED = DOUBTS.add(
    Doubt(
        name="not-identified",
        severity="refusal",
        trigger="the column-scaled Jacobian's condition number exceeds 1e8, or the Hessian has a "
        "direction without curvature",
        meaning="Different parameters fit the runs equally well, so the printed ones are one "
        "choice among many; nothing may be extrapolated from them.",
        remedy="Use a law with fewer parameters, hold some with --fix NAME=VALUE, or add runs at "
        "other sizes and token counts.",
    )
)
MULTIPLE_MINIMA = DOUBTS.add(
    Doubt(
        name="multiple-minima",
        severity="warning",
        trigger="another minimum has nearly the same objective and predicts otherwise, or the "
        "best one was found only once among very many starts",
        meaning="The data hardly prefer one explanation over another.",
        remedy="Compare predictions of both; prefer a law with fewer breaks or parameters.",
    )
)
FEW_STARTS_AGREE = DOUBTS.add(
    Doubt(
        name="few-starts-agree",
        severity="note",
        trigger="fewer than three searches ended at the best objective",
        meaning="The best minimum is not contradicted, but it was not found often either.",
        remedy="Nothing, if the curve looks right; else fit a simpler law beside it.",
    )
)
NOT_CONVERGED = DOUBTS.add(
    Doubt(
        name="not-converged",
        severity="refusal",
        trigger="the score test, the remaining Newton step or the recomputed objective says that "
        "this is not a minimum",
        meaning="The numbers are where the optimiser stopped, not where the objective is least.",
        remedy="Check units and outliers; simplify the law. --allow-unconverged prints further "
        "results all the same, each stamped with this status.",
    )
)
FEW_DEGREES = DOUBTS.add(
    Doubt(
        name="few-degrees-of-freedom",
        severity="warning",
        trigger="rows exceed free parameters by two or less",
        meaning="Nearly every law of this size would fit; an interval would be theatre.",
        remedy="Add runs, or choose a law with fewer parameters.",
    )
)
T_UNBOUNDED = DOUBTS.add(
    Doubt(
        name="t-unbounded",
        severity="warning",
        trigger="free parameters are at least nu/(nu + 1) of the rows, 4 in 5 for nu = 4",
        meaning="A law that passes exactly through as many runs as it has parameters makes the "
        "t likelihood infinite, so that it has no best scale; the normal likelihood was used.",
        remedy="Add runs, or choose a law with fewer parameters.",
    )
)
FEW_ROWS_IN_BAND = DOUBTS.add(
    Doubt(
        name="few-rows-in-band",
        severity="note",
        trigger="fewer rows than twice the parameters lie within Huber's delta",
        meaning="The objective is nearly the sum of absolute residuals: its curvature rests on "
        "those rows alone, so the Hessian is not judged.",
        remedy="Use --objective t:4 or huber:auto unless a paper's delta must be reproduced.",
    )
)
FAILED_REPLICATES = DOUBTS.add(
    Doubt(
        name="failed-replicates",
        severity="warning",
        trigger="more than 5 % of the refits behind an interval did not converge",
        meaning="The interval describes only the refits that did.",
        remedy="Use a law with fewer parameters, or --interval jackknife.",
    )
)
NO_INTERVAL = DOUBTS.add(
    Doubt(
        name="no-interval",
        severity="refusal",
        trigger="more than 20 % of the refits failed, or the method does not suit the runs",
        meaning="An interval would not mean what it says.",
        remedy="Add independent runs, or choose a law with fewer parameters.",
    )
)
FEW_RUNS = DOUBTS.add(
    Doubt(
        name="too-few-runs",
        severity="refusal",
        trigger="independent runs are fewer than the law's free parameters plus three",
        meaning="Parameters and noise cannot both be learnt from so few runs: any interval would "
        "be theatre, so none is given.",
        remedy="Add runs or choose a law with fewer parameters.",
    )
)
COLLINEAR_DESIGN = DOUBTS.add(
    Doubt(
        name="collinear-design",
        severity="refusal",
        trigger="log N and log D of the runs lie on one line",
        meaning="The effects of size and data cannot be told apart by any method, so there is no "
        "best split of compute; the loss along the line is all these runs show.",
        remedy="Add about four runs at a quarter and at four times the usual N for the same "
        "compute.",
    )
)
ASSUMED_LAW_ERROR = DOUBTS.add(
    Doubt(
        name="assumed-law-error",
        severity="warning",
        trigger="an answer lies beyond the runs, and fewer than three rolling-origin forecasts "
        "could be made from them",
        meaning="How far the law is wrong beyond its data could not be measured, so 2 % of the "
        "loss at one decade is assumed; this sets the width of far intervals.",
        remedy="Add runs at more budgets.",
    )
)
NO_NEW_REGIME = DOUBTS.add(
    Doubt(
        name="no-new-regime-assumed",
        severity="note",
        trigger="a prediction lies outside the runs in compute or any input of the law",
        meaning="Every interval assumes that no new regime begins between the largest run and "
        "the target; runs below it cannot show that.",
        remedy="Train one run nearer to the target.",
    )
)
SPECULATIVE = DOUBTS.add(
    Doubt(
        name="speculative",
        severity="warning",
        trigger="a target lies more than 1.5 decades, or half the span of the data, beyond it, in "
        "compute or any input of the law",
        meaning="Published forecasts at this distance fail often.",
        remedy="Treat the number as a guess with a guess's interval; train larger runs first.",
    )
)
TOO_FAR = DOUBTS.add(
    Doubt(
        name="too-far",
        severity="refusal",
        trigger="a target lies further beyond the data than the data span, in compute or the law's "
        "only input",
        meaning="No published record supports such a forecast.",
        remedy="Ask for a nearer target, or pass --i-know.",
    )
)
OFF_RAY = DOUBTS.add(
    Doubt(
        name="off-ray",
        severity="warning",
        trigger="the tokens per parameter asked for, or found best, lie outside those of the runs",
        meaning="The law is extrapolated across the ratio of tokens to parameters as well.",
        remedy="Train a few runs at that ratio.",
    )
)
OFF_RANGE = DOUBTS.add(
    Doubt(
        name="off-range",
        severity="warning",
        trigger="an input besides size and tokens, or the epochs of unique tokens, is asked for "
        "outside the runs",
        meaning="The law is extrapolated in that input as well. The distance counts its decades, "
        "but how fast the law goes wrong was learnt along the scale.",
        remedy="Train a few runs with such a value.",
    )
)
OPTIMUM_AT_EDGE = DOUBTS.add(
    Doubt(
        name="optimum-not-bracketed",
        severity="refusal",
        trigger="along the budget the loss falls all the way to the edge of what was searched",
        meaning="The fitted law has no best split of this budget.",
        remedy="Look at the parameters: an exponent or amplitude on its bound removes the valley.",
    )
)
UNDECIDED = DOUBTS.add(
    Doubt(
        name="laws-undecided",
        severity="warning",
        trigger="two or more adequate laws lie within 6 units of AICc",
        meaning="The runs cannot tell these laws apart, though they may extrapolate differently.",
        remedy="Add runs where the laws differ most, or report the union of their intervals.",
    )
)
RANKINGS_DISAGREE = DOUBTS.add(
    Doubt(
        name="rankings-disagree",
        severity="warning",
        trigger="the law of least AICc is not the law that forecast the largest budgets best",
        meaning="Best fit and best forecaster are different laws.",
        remedy="Let the interval cover both.",
    )
)
INTERRUPTED = DOUBTS.add(
    Doubt(
        name="interrupted",
        severity="warning",
        trigger="the command was stopped, by Ctrl-C, before every group was fitted",
        meaning="What was finished is whole and is kept; the other groups are missing.",
        remedy="Run it again; the same seed gives the same numbers.",
    )
)
NO_ADEQUATE_LAW = DOUBTS.add(
    Doubt(
        name="no-adequate-law",
        severity="refusal",
        trigger="every candidate fails a gate: too few runs, no minimum, residuals far above those "
        "of the closest law, a rise where theory says fall, or an open profile",
        meaning="No candidate describes the runs that there are, so none is extended beyond them.",
        remedy="Add runs, give another law with --law NAME or FILE.toml, or name one law alone to "
        "see what it says at your own risk.",
    )
)
LAW_RULED_OUT = DOUBTS.add(
    Doubt(
        name="law-ruled-out",
        severity="warning",
        trigger="a report goes on with a law that its own comparison rules out",
        meaning="Other laws describe the runs better by far, or this one fails a gate, so what is "
        "predicted from it may be wrong by more than its intervals say.",
        remedy="Name the law that the comparison puts first with --law NAME, or --law auto.",
    )
)
CORRELATED_ROWS = DOUBTS.add(
    Doubt(
        name="correlated-rows",
        severity="note",
        trigger="residuals of neighbouring rows, or of rows of one run, go together, or by every "
        "law of several inputs those of one model size or setting, beyond chance (p < 0.05)",
        meaning="The rows hold less evidence than their number says, as checkpoints of one curve "
        "do; AICc and weights count the independent runs that they are worth.",
        remedy="Nothing, or name the runs with --col run=NAME.",
    )
)
RESIDUAL_SHAPE = DOUBTS.add(
    Doubt(
        name="residual-shape",
        severity="warning",
        trigger="residuals are ordered along the scale, or squares of the log inputs explain them "
        "(p <= 0.01)",
        meaning="The law misses the runs in a pattern, not at random; expect a bias that grows "
        "with the distance.",
        remedy="Try a law with one more parameter, or trust the headline interval only.",
    )
)
AVERAGED_LAWS = DOUBTS.add(
    Doubt(
        name="averaged-laws",
        severity="note",
        trigger="the law is auto: adequate laws are averaged by their Akaike weights",
        meaning="The number belongs to no single law; the interval holds the variance within and "
        "between the laws.",
        remedy="scalefit compare shows every law that was tried.",
    )
)
OPTIMUM_LEFT_OUT = DOUBTS.add(
    Doubt(
        name="law-without-optimum",
        severity="warning",
        trigger="a law of the average has no best split of the budget",
        meaning="The average is that of the other laws, with their weights scaled up.",
        remedy="scalefit optimum --law NAME says what is wrong with that law.",
    )
)
MANY_LAWS = DOUBTS.add(
    Doubt(
        name="many-laws",
        severity="note",
        trigger="more than ten laws were compared",
        meaning="The best of many looks better than it is.",
        remedy="Trust the winner only if its margin is not expected by chance, or name the few "
        "laws that were meant before looking.",
    )
)
ROWS_ARE_NOT_RUNS = DOUBTS.add(
    Doubt(
        name="rows-are-not-runs",
        severity="refusal",
        trigger="rows are taken as independent although they are checkpoints of a few runs",
        meaning="Checkpoints of a run share its luck. Intervals that count them as runs cover "
        "about 40 % where they say 95 %, so none is given.",
        remedy="Name the column that tells runs apart with --col run=NAME (and --last for final "
        "losses only), or use --cluster size.",
    )
)
WEIGHED_BY_LOSS_SE = DOUBTS.add(
    Doubt(
        name="weighed-by-loss-se",
        severity="note",
        trigger="a column loss_se says how well each loss was measured, and the rows differ",
        meaning="Each row counts by the inverse of its variance: the noise of a run plus the "
        "square of its own standard error.",
        remedy="None needed; map loss_se to nothing, or give a weight column, for other weights.",
    )
)
TRADE_OFF = DOUBTS.add(
    Doubt(
        name="parameters-trade-off",
        severity="warning",
        trigger="the scaled J'J has a condition number beyond 3e4, or two estimates are "
        "correlated by more than 0.99",
        meaning="Two parameters are nearly one in these runs. Predictions amid the runs are fine, "
        "the separate values are fragile.",
        remedy="Do not quote either alone; add runs that differ where the two act differently, "
        "such as sizes at a quarter and four times the usual N.",
    )
)
INFLUENTIAL_RUN = DOUBTS.add(
    Doubt(
        name="influential-run",
        severity="warning",
        trigger="leaving one run out moves a headline by more than the standard error that all "
        "other runs give it",
        meaning="That run decides the number.",
        remedy="Look at the run: was it trained and evaluated like the others? Then report the "
        "number with and without it.",
    )
)
OBJECTIVES_DISAGREE = DOUBTS.add(
    Doubt(
        name="objectives-disagree",
        severity="warning",
        trigger="t:4, gaussian and huber:auto differ by more than a standard error on a headline",
        meaning="What a few runs far off the law are worth decides the number.",
        remedy="Look at the rows named. Keep t:4 if they are faults; change the law if they are "
        "not.",
    )
)
UNEVEN_SCATTER = DOUBTS.add(
    Doubt(
        name="uneven-scatter",
        severity="warning",
        trigger="a score test finds that |residual| changes with the log of the scale, p < 0.01",
        meaning="One noise level for all runs is wrong: profile, residual and parametric "
        "intervals are off.",
        remedy="Keep the jackknife; give a weight or loss_se column if the noise is known.",
    )
)
CLUSTERED_RESIDUALS = DOUBTS.add(
    Doubt(
        name="clustered-residuals",
        severity="warning",
        trigger="the errors of rows of one model size, setting or group correlate by more than "
        "0.1, over five of them or more and beyond chance (p < 0.05)",
        meaning="Rows that are counted as independent share part of their error, so that "
        "intervals are too narrow.",
        remedy="Cluster by what they share: --cluster size, --cluster setting (for seeds of "
        "one setting), or --cluster group.",
    )
)
LACK_OF_FIT = DOUBTS.add(
    Doubt(
        name="lack-of-fit",
        severity="warning",
        trigger="products of the log inputs, together or those of different inputs alone, explain "
        "residuals that the law left, p < 0.05",
        meaning="The law misses a shape that the runs show; it will miss more of it further out.",
        remedy="Compare other laws with scalefit compare; trust the headline interval, which "
        "holds law error, and not the narrower ones.",
    )
)
OPEN_PROFILE = DOUBTS.add(
    Doubt(
        name="open-profile",
        severity="warning",
        trigger="the likelihood does not fall by what an interval allows before the parameter "
        "reaches the end of its range",
        meaning="The runs do not limit the parameter on that side.",
        remedy="Do not quote it; hold it with --fix if you know it, or use a law without it.",
    )
)
LARGE_SCATTER = DOUBTS.add(
    Doubt(
        name="large-scatter",
        severity="warning",
        trigger="runs scatter about the law by more than 1.5 times what runs of one setting do, or "
        "without such by more than 1.5 % of the loss",
        meaning="The law does not describe these runs: of later runs of such tables headlines "
        "covered far fewer than they promise.",
        remedy="Compare other laws, leave out runs of another kind (far too short, badly tuned), "
        "or do not extrapolate.",
    )
)
BREAK_NOT_ASKED_FOR = DOUBTS.add(
    Doubt(
        name="break-not-asked-for",
        severity="note",
        trigger="a law with breaks leads a simpler one by more than 6 of AICc, but has fewer than "
        "four scales beside a break, no fixed place for it, or foretells left-out scales no better",
        meaning="The break may be noise, or a floor in disguise. The law is averaged with the "
        "simpler ones as if its lead were 6, and rules none of them out.",
        remedy="Train runs at more scales on both sides of the break.",
    )
)
LATE_BREAK = DOUBTS.add(
    Doubt(
        name="late-break",
        severity="warning",
        trigger="a break lies within the last half decade of the runs",
        meaning="The slope beyond it rests on a few runs and decides every forecast: treat it as "
        "unmeasured.",
        remedy="Train runs beyond the break before extending the curve.",
    )
)
