"""A notebook, run headless: sweep, table, plot, the best model, predictions."""

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

SPACE = """
[study]
name = "in-a-notebook"

[data]
num_train = 300

[model]
filters = [4]
dense_units = 8

[training]
epochs = 3

[space.rate]
key = "schedule.initial_learning_rate"
type = "float"
low = 1e-3
high = 1e-2
"""
CELLS = (
    'import sweep, optuna\nstudy = sweep.run("space.toml", trials=3, device="cpu")',
    "study.dataframe()",
    "optuna.visualization.plot_optimization_history(study.study)",
    "model = study.retrain().model",
    "from sklearn.datasets import load_digits\nmodel.predict(load_digits().images[:5], verbose=0).shape",
)


def run_cells(folder, *cells):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(folder)}}).execute()
    return [cell["outputs"] for cell in notebook.cells]


def texts(outputs):
    """What is shown as text; without control characters it can be read in a notebook that is not run."""
    streams = "".join(one["text"] for one in outputs if one["output_type"] == "stream")
    results = [one["data"] for one in outputs if one["output_type"] in ("execute_result", "display_data")]
    return streams, results


@pytest.mark.slow
def test_a_sweep_a_table_a_plot_a_model_and_predictions(folder):
    swept, table, plot, retrained, predicted = (texts(outputs) for outputs in run_cells(folder, *CELLS))
    assert "3 COMPLETE" in swept[0]
    assert "<table" in table[1][0]["text/html"]
    assert "application/vnd.plotly.v1+json" in plot[1][0]
    assert "test accuracy" in retrained[0]
    assert predicted[1][0]["text/plain"] == "(5, 10)"


@pytest.mark.slow
def test_a_command_in_a_cell_prints_lines_and_draws_no_bars(folder):
    (outputs,) = run_cells(folder, "import sys\n!{sys.executable} -m sweep.cli run space.toml --trials 3 --engine fake")
    text, _ = texts(outputs)
    assert sum(line.startswith("trial ") for line in text.splitlines()) == 3
    assert "\x1b[" not in text


@pytest.mark.slow
def test_a_mistake_is_an_exception_with_its_one_line(folder):
    with pytest.raises(CellExecutionError, match=r"training\.epoch"):
        run_cells(folder, 'import sweep\nsweep.run("space.toml", overrides={"training.epoch": 3})')
