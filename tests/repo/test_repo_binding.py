"""A binding that is wrong is one error with its file, line, key and cure; init writes good ones."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from userrepo import cli

from replay.repo.binding import Interface
from replay.repo.bindingfile import parse_binding, read_binding
from replay.repo.calls import Call, is_valid, renumbered
from replay.repo.errors import BindingError
from replay.repo.generating import generate
from replay.repo.language import shrink
from replay.repo.resolving import resolve
from replay.repo.shapes import LibraryShape, read_shape

HEAD = 'format = "replay-binding/1"\n'
OP = HEAD + '[[op]]\nfunction = "f"\n'
SOURCE = """
struct s { int a; };
struct s *s_new(int size) { return 0; }
void s_free(struct s *s) { }
int s_add(struct s *s, int value, const char *name) { return 0; }
int s_any(void *p, struct t *t) { return 0; }
int s_count(const struct s *s) { return 0; }
int s_print(int count, ...) { return 0; }
int s_say(const char *format, ...) { return 0; }
"""


@pytest.mark.parametrize(
    ("text", "line", "key", "said"),
    [
        ("", None, "format", 'the format is missing; write format = "replay-binding/1"'),
        ('format = "x"\n', 1, "format", "the format is 'x'"),
        ("format = \n", 1, "", "not TOML: Invalid value"),
        (HEAD, None, "op", "no operation"),
        (HEAD + "[[opp]]\n", 2, "opp", "unknown key 'opp'; did you mean 'op'?"),
        (HEAD + "[op]\n", 2, "op", "write [[op]], with double brackets"),
        (HEAD + "[[op]]\nname = 'f'\n", 2, "op[1]", "no function: write function"),
        (OP + "wieght = 3\n", 4, "op[1].wieght", "did you mean 'weight'?"),
        (OP + "weight = 0\n", 4, "op[1].weight", "must be an integer from 1 to 1000"),
        (OP + "live = true\n", 4, "op[1].live", "true must be an integer from 1 to 16"),
        (OP + "returns = 'strin'\n", 4, "op[1].returns", "did you mean 'string'?"),
        (OP + "[op.args]\nn = 3\n", 5, "op[1].args.n", "3 is no role; write for instance"),
        (OP + "[op.args]\nn = { rang = [0, 9] }\n", 5, "op[1].args.n.rang",
         "did you mean 'range'?"),
        (OP + "[op.args]\nn = { range = [9, 0] }\n", 5, "op[1].args.n", "write [0, 9]"),
        (OP + "[op.args]\nn = { range = [0] }\n", 5, "op[1].args.n", "must be two integers"),
        (OP + "[op.args]\nn = { value = 1, null = true }\n", 5, "op[1].args.n", "two roles"),
        (OP + "[op.args]\nn = { type = 'int' }\n", 5, "op[1].args.n", "no role; give one of"),
        (OP + "[op.args]\nn = { range = [0, 1], type = 'itn' }\n", 5, "op[1].args.n.type",
         "did you mean 'int'?"),
        (OP + "[op.args]\nn = { each = [0, 9] }\n", 5, "op[1].args.n", "`each` is for observers"),
        (OP + "[op.args]\nn = { bytes = [0, 99999] }\n", 5, "op[1].args.n", "from 0 to 65536"),
        (OP + OP[len(HEAD):], 4, "op[2]", "is that of op[1] too"),
        (OP + "[[map]]\ncommits = 'a'\nop = 'g'\nfunction = 'h'\n", 6, "map[1].op",
         "no operation 'g'"),
        (OP + "[[map]]\ncommits = 'a'\nop = 'f'\n", 4, "map[1]", "changes nothing; drop it"),
        (OP + "[[observe]]\nfunction = 'o'\n[observe.args]\nn = { range = [0, 1] }\n", 7,
         "observe[1].args.n", "write each = [0, 9]"),
    ],
)  # fmt: skip
def test_each_defect_of_a_binding_is_placed_and_has_a_cure(
    text: str, line: int | None, key: str, said: str
) -> None:
    with pytest.raises(BindingError) as caught:
        parse_binding(text, "b.toml")
    assert said in caught.value.problem
    assert (caught.value.line, caught.value.key) == (line, key)
    assert str(caught.value).startswith(f"b.toml:{line}: " if line else "b.toml: ")
    assert not key.startswith("op[1].") or str(caught.value).startswith(
        f"b.toml:{line}: {key} of f: "
    )


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("library")
    (place / "x.c").write_text(SOURCE)
    words = ["cc", "-w", "-g", "-fPIC", "-shared", "-o", "libs.so", "x.c"]
    subprocess.run(words, cwd=place, check=True)
    return place / "libs.so"


@pytest.fixture(scope="session")
def shape(library: Path) -> LibraryShape:
    return read_shape(library)


def interface_of(text: str, shape: LibraryShape) -> Interface:
    return resolve(parse_binding(HEAD + text, "b.toml"), [shape], lambda rule, index: False)


NEW = '[[op]]\nfunction = "s_new"\n'


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ('[[op]]\nfunction = "s_neu"\n', "op[1].function", "did you mean 's_new'?"),
        (NEW + '[op.args]\nsise = { range = [0, 1] }\n', "op[1].args.sise", "did you mean 'size'?"),
        (NEW + '[op.args]\nsize = { string = [0, 1] }\n', "op[1].args.size", "only a pointer can"),
        ('[[op]]\nfunction = "s_add"\n', "op[1].args.s", "no operation makes a 's'"),
        (NEW + '[[op]]\nfunction = "s_add"\ndestroys = "t"\n', "op[2].destroys",
         "s_add takes no 't' that it could destroy"),
        (NEW + '[[op]]\nfunction = "s_any"\n', "op[2].args.t", "no operation makes a 't'"),
        (NEW + '[[op]]\nfunction = "s_add"\n[op.args]\nname = { range = [0, 1] }\n',
         "op[2].args.name", "a pointer cannot be a number"),
        (NEW + '[[op]]\nfunction = "s_add"\n[op.args]\nvalue = { length_of = "nam" }\n',
         "op[2].args.value", "did you mean 'name'?"),
        ('[[op]]\nfunction = "s_print"\n', "op[1].varargs", "any number of arguments"),
    ],
)  # fmt: skip
def test_a_binding_that_does_not_fit_the_library_says_where(
    text: str, key: str, said: str, shape: LibraryShape
) -> None:
    with pytest.raises(BindingError) as caught:
        interface_of(text, shape)
    assert caught.value.key == key
    assert said in caught.value.problem
    function = re.findall(r'function = "(\w+)"', text)[-1]
    assert str(caught.value).startswith(f"b.toml:{caught.value.line}: {key} of {function}: ")


def test_init_writes_a_binding_that_parses_and_says_what_it_left_out(
    library: Path, tmp_path: Path, shape: LibraryShape
) -> None:
    target = tmp_path / "binding.toml"
    done = cli("init", library, "-o", target)
    assert (done.returncode, done.stderr) == (0, "")
    binding = read_binding(target)
    assert [op.name for op in binding.ops] == ["s_new", "s_add", "s_say", "s_say_2", "s_free"]
    assert [op.name for op in binding.observers] == ["s_count"]
    text = target.read_text()
    assert "# int s_add(struct s *s, int value, const char *name)" in text
    assert "# Left out: nothing makes a t" in text
    assert "# Left out: it takes any number of arguments, and no format says how many" in text
    resolve(binding, [shape], lambda rule, index: False)
    again = cli("init", library, "-o", target)
    assert again.returncode == 2
    assert "is there already" in again.stderr
    assert cli("init", library).stdout == text


def test_init_of_what_is_no_library_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no library")
    done = cli("init", tmp_path / "x")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_traces_are_valid_and_the_same_for_the_same_seed(shape: LibraryShape) -> None:
    interface = interface_of(
        NEW + '[[op]]\nfunction = "s_add"\n[[op]]\nfunction = "s_free"\n', shape
    )
    traces = [generate(interface, 7, number, 40) for number in range(50)]
    assert all(is_valid(trace, interface) for trace in traces)
    assert traces == [generate(interface, 7, number, 40) for number in range(50)]
    assert len({call.op for trace in traces for call in trace}) == 3
    assert len(set(traces)) == 50


def test_the_shrinker_gives_the_least_trace_that_still_fails(shape: LibraryShape) -> None:
    interface = interface_of(
        NEW + '[[op]]\nfunction = "s_add"\n[[op]]\nfunction = "s_free"\n', shape
    )

    def fails(trace: tuple[Call, ...]) -> bool:
        values = [c.values[1] for c in trace if c.op == "s_add"]
        return sum(int(v) for v in values) >= 9 and len(set(values)) > 1

    trace = next(t for t in (generate(interface, 1, n, 40) for n in range(99)) if fails(t))
    small = shrink(trace, interface, fails)
    assert small.complete
    assert [call.op for call in small.trace] == ["s_new", "s_add", "s_add"]
    assert sorted(int(c.values[1]) for c in small.trace[1:]) == [0, 9]
    assert renumbered(small.trace, interface) == small.trace
    assert shrink(trace, interface, fails) == small
    assert shrink(trace, interface, fails, 3).tried <= 3
