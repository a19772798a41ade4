"""Terminal: what a run says to the person who waits for it; Dagster's event log keeps the rest.

What belongs here: the logger of warnings, and one paragraph per failed step. How a run is started
and followed is in `runner.py`.
"""

import logging
from collections.abc import Iterator

import dagster as dg
from dagster._core.log_manager import get_log_record_metadata, has_log_record_metadata
from dagster_shared.error import SerializableErrorInfo

LOGGER = "terminal"


class _PlainFormatter(logging.Formatter):
    """Writes the step and its sentence; time, run and traceback are in the event log."""

    def format(self, record: logging.LogRecord) -> str:
        if not has_log_record_metadata(record):
            return record.getMessage()
        metadata = get_log_record_metadata(record)
        place = metadata["step_key"] or metadata["job_name"] or "run"
        return f"{record.levelname.lower()}: {place}: {metadata['orig_message']}"


def _is_a_warning(record: logging.LogRecord) -> bool:
    """Return whether a step of ours wrote a warning.

    Errors are left to `failure_paragraphs`: Dagster's come with tracebacks, and with a line for
    each step that could not run.
    """
    of_a_step = has_log_record_metadata(record) and (
        get_log_record_metadata(record)["dagster_event"] is None
    )
    return of_a_step and record.levelno == logging.WARNING


@dg.logger({}, description="Warnings that steps write, one plain line each.")
def terminal_logger(_context: dg.InitLoggerContext) -> logging.Logger:
    """Return a logger that writes the warnings of steps to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(_PlainFormatter())
    handler.addFilter(_is_a_warning)
    logger = logging.getLogger(f"learn_assets.{LOGGER}")
    logger.handlers = [handler]
    logger.propagate = False
    return logger


def failure_paragraphs(result: dg.ExecuteInProcessResult) -> str:
    """Return what went wrong: a paragraph for each blocking check and each step that failed.

    The text holds what the steps and checks themselves say, and no traceback.
    """
    paragraphs = [*_failed_checks(result), *_failed_steps(result)]
    if not paragraphs:
        paragraphs = list(_failure_of_the_run(result))
    log = f"The traceback is in the event log of run {result.run_id} (`learn-assets ui`)."
    return "\n".join([*paragraphs, log])


def _failed_checks(result: dg.ExecuteInProcessResult) -> Iterator[str]:
    for check in result.get_asset_check_evaluations():
        if check.passed or not check.blocking or check.severity is not dg.AssetCheckSeverity.ERROR:
            continue
        table = check.asset_key.to_user_string()
        yield f"{table}: the check `{check.check_name}` failed. {check.description or ''}".strip()


def _failed_steps(result: dg.ExecuteInProcessResult) -> Iterator[str]:
    """Yield the reason of each step that raised; a step whose check failed has told it there."""
    for event in result.all_events:
        error = event.step_failure_data.error if event.is_step_failure else None
        if error is not None and error.cls_name != "DagsterAssetCheckFailedError":
            yield f"{event.step_key}: {_root_message(error)}"


def _failure_of_the_run(result: dg.ExecuteInProcessResult) -> Iterator[str]:
    for event in result.all_events:
        if event.is_job_failure and event.job_failure_data.error is not None:
            yield _root_message(event.job_failure_data.error)


def _root_message(error: SerializableErrorInfo) -> str:
    """Return the message of the exception that a step raised, without its class and traceback."""
    root = error.cause or error
    message = root.message.strip()
    prefix = f"{root.cls_name}: " if root.cls_name else ""
    # Dagster writes the class with its module: `learn_assets.lake.MissingTableError: ...`.
    head, found, rest = message.partition(prefix)
    return rest if prefix and found and " " not in head else message
