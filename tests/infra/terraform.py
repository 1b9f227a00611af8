"""infra/terraform as it is written, and as Terraform itself evaluates it for given variables, with no provider."""

import base64
import functools
import graphlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import hcl2
import pytest
from hcl2.utils import SerializationOptions

ROOT = pathlib.Path(__file__).parents[2]
MODULE = ROOT / "infra/terraform"
DASHBOARD = ROOT / "infra/dashboard/dashboard.json"
SCHEMA = json.loads(pathlib.Path(__file__).with_name("aws_provider_schema.json").read_text())
# What Terraform takes in every resource.
META = {"count", "depends_on", "lifecycle", "provider"}
# Where it is deployed, to the evaluation.
REGION, ACCOUNT, PARTITION = "eu-central-1", "123456789012", "aws"

MISSING = "terraform is not on the PATH (1.6 or newer is needed)"


def terraform(*arguments, folder, stdin=None):
    """Runs Terraform; returns its exit code and its output. Skips the test on a machine that has no Terraform."""
    if not shutil.which("terraform"):
        # No package registry has Terraform, so `make test` cannot install it. CI has it, and must not lose these tests.
        if os.environ.get("CI"):
            pytest.fail(MISSING, pytrace=False)
        pytest.skip(MISSING)
    # Neither what the user has set, nor a call home.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    environment |= {"CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull, "TF_CLI_ARGS": "-no-color"}
    done = subprocess.run(["terraform", *arguments], cwd=folder, env=environment, input=stdin, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@functools.cache
def load(text):
    """The parser's answer. No test changes it."""
    return hcl2.loads(text, serialization_options=SerializationOptions(with_comments=False))


def bare(name):
    """A label or key of a block, which the parser leaves in its quotes."""
    return name.strip('"')


def parse(folder):
    """Every block of a folder's files: {kind: [block, …]}."""
    blocks = {}
    for path in sorted(folder.glob("*.tf")):
        for kind, found in load(path.read_text()).items():
            blocks.setdefault(kind, []).extend(found)
    return blocks


def of_kind(blocks, kind):
    """{type: {name: body}} of resources or data sources."""
    found = {}
    for block in blocks.get(kind, []):
        ((its_type, named),) = block.items()
        for name, body in named.items():
            if name != "__is_block__":
                assert bare(name) not in found.setdefault(bare(its_type), {}), name
                found[bare(its_type)][bare(name)] = body
    return found


def named(blocks, kind):
    """{name: body} of variables, outputs or modules."""
    return {bare(name): body for block in blocks.get(kind, []) for name, body in block.items() if name != "__is_block__"}


def is_block(value):
    """Blocks of one name are a list of bodies, each with a mark of the parser's."""
    return isinstance(value, list) and any(isinstance(each, dict) and "__is_block__" in each for each in value)


def complaints(body, schema, where):
    """What the provider's schema says against the body of a resource, data source, provider, or block of one."""
    blocks = schema.get("blocks", {})
    takes = {*schema.get("required", []), *schema.get("optional", [])}
    for name, value in body.items():
        if name == "__is_block__":
            continue
        if is_block(value):
            if name not in blocks:
                yield f"{where}: no block {name}"
                continue
            if blocks[name]["once"] and len(value) > 1:
                yield f"{where}: {name} may stand once"
            for each in value:
                yield from complaints(each, blocks[name], f"{where}.{name}")
        elif name not in takes:
            yield f"{where}: no argument {name}"
    needed = {*schema.get("required", []), *(name for name, block in blocks.items() if block["needed"])}
    for name in sorted(needed - set(body)):
        yield f"{where}: {name} is missing"


# What Terraform makes the provider's type of by itself: a number becomes a text, for one.
SCALAR = (str, int, float, bool)
FITS = {
    "string": lambda value: isinstance(value, SCALAR),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "stringList": lambda value: isinstance(value, list) and all(isinstance(each, SCALAR) for each in value),
    "stringMap": lambda value: isinstance(value, dict) and all(isinstance(each, SCALAR) for each in value.values()),
}


def misfits(body, schema, where):
    """What an evaluated body has that is not of the provider's type."""
    types = schema.get("required", {}) | schema.get("optional", {})
    for name, value in body.items():
        if name in types:
            if value is not None and not FITS[types[name]](value):
                yield f"{where}: {name} is no {types[name]}"
        else:
            for each in value:
                yield from misfits(each, schema["blocks"][name], f"{where}.{name}")


def without_meta(body):
    return {name: value for name, value in body.items() if name not in META}


def all_complaints(blocks):
    for kind in ["resource", "data"]:
        for its_type, found in of_kind(blocks, kind).items():
            for name, body in found.items():
                if its_type not in SCHEMA[kind]:
                    yield f"{kind} {its_type}: not in the schema"
                else:
                    yield from complaints(without_meta(body), SCHEMA[kind][its_type], f"{its_type}.{name}")
    for block in blocks.get("provider", []):
        for name, body in block.items():
            yield from complaints(body, SCHEMA["provider"][bare(name)], f"provider {bare(name)}")


def plain(value):
    """A body as an object: a block is a list of objects."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items() if name != "__is_block__"}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, str):
        # What only the provider could say is asked of `local.known`.
        return re.sub(r"(?<![\w.])((?:data\.)?aws_\w+\.\w+)", r"local.known.\1", value)
    return value


def known(resources):
    """What is known of resources and data sources before anything is deployed: that `aws_x.y.arn` is `<aws_x.y.arn>`."""
    found = {
        "data": {
            "aws_region": {"this": {"region": REGION}},
            "aws_caller_identity": {"this": {"account_id": ACCOUNT}},
            "aws_partition": {"this": {"partition": PARTITION}},
        }
    }
    for its_type, named_bodies in resources.items():
        for name, body in named_bodies.items():
            attributes = {a: f"<{its_type}.{name}.{a}>" for a in SCHEMA["resource"][its_type]["attributes"]}
            found.setdefault(its_type, {})[name] = [attributes] if "count" in body else attributes
    return found


def order(blocks):
    """The resources, each after those that it refers to; an error where they go round in a circle."""
    resources = of_kind(blocks, "resource")
    before = {
        f"{its_type}.{name}": {*re.findall(r"(?<![\w.])(aws_\w+\.\w+)", json.dumps(body))}
        for its_type, found in resources.items()
        for name, body in found.items()
    }
    return list(graphlib.TopologicalSorter(before).static_order())


@functools.cache
def without_resources(stem, text):
    """One file of the module as a program: its resources and outputs as values of `local.<stem>_…`."""
    blocks = load(text)
    assert set(blocks) <= {"terraform", "locals", "resource", "data", "output"}, (stem, set(blocks))
    resources = {
        # An order is no value.
        f'"{its_type}.{name}"': {key: plain(value) for key, value in body.items() if key not in {"depends_on", "__is_block__"}}
        for its_type, found in of_kind(blocks, "resource").items()
        for name, body in found.items()
    }
    outputs = {name: plain(body["value"]) for name, body in named(blocks, "output").items()}
    values = [*map(plain, blocks.get("locals", [])), {f"{stem}_resources": resources, f"{stem}_outputs": outputs}]
    return hcl2.dumps({"locals": [{**each, "__is_block__": True} for each in values]})


def program(changed=()):
    """The module without resources: {file name: text}. `changed` replaces texts in its files, to see what tells."""
    texts = {path.name: path.read_text() for path in sorted(MODULE.glob("*.tf"))}
    for old, new in changed:
        touched = [name for name, text in texts.items() if old in text]
        assert touched, old
        for name in touched:
            texts[name] = texts[name].replace(old, new)
    # Variables are Terraform's own, and stay as they are.
    files = {"variables.tf": texts.pop("variables.tf")}
    blocks = {"resource": [block for text in texts.values() for block in load(text).get("resource", [])]}
    stems = []
    for name, text in texts.items():
        stems.append(name.removesuffix(".tf"))
        files[name] = without_resources(stems[-1], text)
    every = {part: "${merge(" + ", ".join(f"local.{stem}_{part}" for stem in stems) + ")}" for part in ["resources", "outputs"]}
    files["known.tf.json"] = json.dumps({"locals": {"known": known(of_kind(blocks, "resource")), "evaluated": every}})
    return files


def evaluate(variables, changed=()):
    """(resources by address, outputs) as Terraform sees them with these variables."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary, "terraform")
        folder.mkdir()
        for name, text in program(changed).items():
            (folder / name).write_text(text)
        (folder / "package.zip").write_bytes(b"a package")
        shutil.copy(MODULE / "dashboard.json", folder)
        (folder / "given.tfvars.json").write_text(json.dumps({"package": "package.zip", **variables}))
        ask = "base64encode(jsonencode(local.evaluated))\n"
        code, said = terraform("console", "-var-file=given.tfvars.json", folder=folder, stdin=ask)
    found = re.fullmatch(r'\s*"([A-Za-z0-9+/=]+)"\s*', said)
    assert code == 0 and found, said
    evaluated = json.loads(base64.b64decode(found[1]))
    resources = {}
    for address, body in evaluated["resources"].items():
        count = body.pop("count", 1)
        assert count in (0, 1), address
        if count:
            resources[address] = body
    return resources, evaluated["outputs"]
