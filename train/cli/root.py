"""``featurestore train``: train predictors, list them, and compare them."""

from __future__ import annotations

import click

from featurestore.cli.options import CONTEXT
from train.cli.align import align
from train.cli.benchmark import benchmark
from train.cli.best import best
from train.cli.cross_validate import cross_validate, final
from train.cli.curve import curve
from train.cli.fit import ensemble, fit, gbt, mlp
from train.cli.graph import scratch, source
from train.cli.groups import groups
from train.cli.language_model import language_model
from train.cli.leaderboard import leaderboard
from train.cli.leakage import leakage
from train.cli.list import list_models
from train.cli.matbench import matbench
from train.cli.mlflow import mlflow
from train.cli.parity import parity
from train.cli.report import report
from train.cli.text_models import text_source


@click.group(context_settings=CONTEXT)
def train() -> None:
    """Train predictors on training views."""


for command in (
    *(best, fit, mlp, ensemble, gbt, scratch, source),
    *(align, text_source, language_model),
    *(cross_validate, final),
    *(benchmark, report, list_models, curve, parity),
    *(groups, leakage, leaderboard, matbench, mlflow),
):
    train.add_command(command)
