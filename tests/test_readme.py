import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_every_python_block_of_the_readme_runs(capsys):
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text("utf-8"), re.M | re.S)
    assert blocks, "README.md shows no python block"
    for block in blocks:
        exec(compile(block, README.name, "exec"), {"__name__": "__main__"})
        assert capsys.readouterr().out, "the block prints nothing a reader could compare"
