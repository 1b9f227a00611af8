"""Makes aws_provider_schema.json: what the Terraform AWS provider takes in the resources and data sources used here.

It comes from the npm package named below, whose code is generated from the provider's own schema. The package is too big to
be installed for every test, so its part that is used here is kept. To take another version, or after using a new resource:

    python tests/infra/aws_provider_schema.py
"""

import json
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

import hcl2

PACKAGE = "@cdktf/provider-aws@21.22.1"
ROOT = pathlib.Path(__file__).parents[2]
SCHEMA = pathlib.Path(__file__).with_name("aws_provider_schema.json")
# Meant for Terraform, not for the provider: they are in no schema of its.
NO_ARGUMENTS = {"timeouts"}


def used():
    """(kind, type) of every resource, data source and provider of the module and its examples."""
    found = {("provider", "aws")}
    for path in (ROOT / "infra/terraform").rglob("*.tf"):
        parsed = hcl2.loads(path.read_text())
        for kind in ["resource", "data"]:
            found |= {(kind, name.strip('"')) for block in parsed.get(kind, []) for name in block}
    return sorted(found)


def folder(kind, name):
    """Where the package keeps it."""
    if kind == "provider":
        return "provider"
    return ("data-aws-" if kind == "data" else "") + name.removeprefix("aws_").replace("_", "-")


def interfaces(declarations):
    """Of each TypeScript interface, its fields: (the provider's name, whether it is required, its type)."""
    form = r"export interface (\w+)(?: extends [\w.]+)? \{\n(.*?)\n\}"
    # The link to a field's documentation ends in the provider's name for it.
    field = r"#(\w+) \w+#\1\}(?:(?!\*/).)*?\*/\n    readonly \w+(\??): (\w+|\{)"
    return {name: re.findall(field, body, re.DOTALL) for name, body in re.findall(form, declarations, re.DOTALL)}


def body_of(name, declared, code, written_by):
    """What one structure takes; `written_by` is the code that writes it."""
    required, optional, blocks = {}, {}, {}
    for field, may_be_left_out, its_type in declared[name]:
        if field in NO_ARGUMENTS:
            continue
        form = rf'\n +{field}: \{{\n +value: ([^\n]+),\n +isBlock: (true|false),\n +type: "\w+",\n +storageClassType: "(\w+)"'
        written = re.search(form, written_by)
        assert written, (name, field)
        if written[2] == "true":
            function = f"function {its_type[0].lower()}{its_type[1:]}ToHclTerraform("
            start = code.index(function)
            blocks[field] = {
                "needed": not may_be_left_out,
                # What may stand several times is written as a list.
                "once": "listMapperHcl" not in written[1],
                **body_of(its_type, declared, code, code[start : code.index("\n}\n", start)]),
            }
        else:
            (optional if may_be_left_out else required)[field] = written[3]
    return {key: value for key, value in {"required": required, "optional": optional, "blocks": blocks}.items() if value}


def main():
    wanted = used()
    with tempfile.TemporaryDirectory() as temporary:
        subprocess.run(["npm", "pack", "--silent", "--pack-destination", temporary, PACKAGE], check=True, stdout=subprocess.DEVNULL)
        (archive,) = pathlib.Path(temporary).iterdir()
        files = {f"package/lib/{folder(*each)}/index.{ending}" for each in wanted for ending in ["d.ts", "js"]}
        with tarfile.open(archive) as tar:
            texts = {m.name: tar.extractfile(m).read().decode() for m in tar if m.name in files}
    versions, schema = set(), {}
    for kind, name in wanted:
        declarations, code = (texts[f"package/lib/{folder(kind, name)}/index.{ending}"] for ending in ["d.ts", "js"])
        versions |= set(re.findall(r"providers/hashicorp/aws/([\d.]+)/docs", declarations))
        declared = interfaces(declarations)
        (top,) = re.findall(r"export interface (\w+) extends cdktf.TerraformMetaArguments", declarations) or ["AwsProviderConfig"]
        body = body_of(top, declared, code, code[code.index("synthesizeHclAttributes() {") :])
        # What other resources may refer to.
        main_class = code[code.rindex("\nclass ") :]
        exported = re.findall(r"this\.(?:get\w+Attribute|interpolationForAttribute)\('(\w+)'\)", main_class)
        if kind != "provider":
            body["attributes"] = sorted({*exported, *body.get("required", []), *body.get("optional", [])})
        schema.setdefault(kind, {})[name] = body
    (version,) = versions
    about = f"Terraform AWS provider {version}, from {PACKAGE} by aws_provider_schema.py: the resources and data sources used here"
    SCHEMA.write_text(json.dumps({"about": about, **schema}, indent=1) + "\n")
    print(f"{SCHEMA.name}: {about}, {sum(map(len, schema.values()))}", file=sys.stderr)


if __name__ == "__main__":
    main()
