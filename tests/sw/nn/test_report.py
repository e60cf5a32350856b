"""The table that attach and detach return."""

from sw.nn.report import Report, Row

ROWS = (Row(0, "attention", "layers.0.self", "Attention", "CTAHeads, cta", True),
        Row(0, "ffn", "layers.0.ffn", "MLP", "MLP", False, "not asked for"))


def test_parts():
    report = Report("Model", "attach", ROWS, ("a note",))
    assert report.replaced == ROWS[:1] and report.kept == ROWS[1:]


def test_table():
    assert str(Report("Model", "attach", ROWS, ("a note",))) == """\
attach Model: 1 of 2 parts replaced
layer  part       name           was        now            why
0      attention  layers.0.self  Attention  CTAHeads, cta
0      ffn        layers.0.ffn   MLP        kept           not asked for
a note"""
    assert str(Report("Model", "detach", ROWS)).startswith("detach Model: 1 of 2 parts restored\n")
