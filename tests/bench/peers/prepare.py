"""Write down for each peer what is live as what is wanted: `prepare.py ANSWERS FOLDER PREFIX octodns|terraform`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SOURCE = "bench.test/bench/builds"


def live(answers: Path, prefix: str) -> Any:
    """Each trigger with its Worker and its variables."""
    read = {
        path.removeprefix(prefix): json.loads(text)["result"] for path, text in json.loads(answers.read_text()).items()
    }
    for worker in read["/workers/scripts"]:
        for trigger in read[f"/builds/workers/{worker['tag']}/triggers"]:
            yield worker, trigger, read[f"/builds/triggers/{trigger['trigger_uuid']}/environment_variables"]


def octodns(folder: Path, found: Any) -> None:
    from octodns_provider import records

    zones: dict[str, Any] = {}
    for worker, trigger, variables in found:
        zones.setdefault(f"{worker['id']}.bench.", {}).update(records(trigger, variables))
    (folder / "zones").mkdir()
    for name, zone in zones.items():
        (folder / "zones" / f"{name}yaml").write_text(json.dumps(dict(sorted(zone.items()))))
    manifests = {
        "class": "octodns.provider.yaml.YamlProvider",
        "directory": str(folder / "zones"),
        "enforce_order": False,
    }
    config = {
        "manager": {"max_workers": 16},
        "providers": {"manifests": manifests, "live": {"class": "octodns_provider.Builds"}},
        "zones": {name: {"sources": ["manifests"], "targets": ["live"]} for name in zones},
    }
    (folder / "config.yaml").write_text(json.dumps(config))


def terraform(folder: Path, found: Any) -> None:
    from terraform_provider import state

    named = {
        f"{worker['id']}-{trigger['trigger_name']}": state(worker["tag"], trigger, variables)
        for worker, trigger, variables in found
    }
    needs = {"required_providers": {"builds": {"source": SOURCE}}}
    (folder / "main.tf.json").write_text(json.dumps({"terraform": needs, "resource": {"builds_trigger": named}}))
    kept = [
        {
            "mode": "managed",
            "type": "builds_trigger",
            "name": name,
            "provider": f'provider["{SOURCE}"]',
            "instances": [{"schema_version": 0, "attributes": attributes}],
        }
        for name, attributes in named.items()
    ]
    head = {"version": 4, "terraform_version": "1.0.0", "serial": 1, "lineage": "bench", "outputs": {}}
    (folder / "terraform.tfstate").write_text(json.dumps({**head, "resources": kept}))
    overrides = f'provider_installation {{\n  dev_overrides {{ "{SOURCE}" = "{folder}" }}\n  direct {{}}\n}}\n'
    (folder / "terraformrc").write_text(overrides)
    plugin = folder / "terraform-provider-builds"
    plugin.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "terraform_provider.py"}" "$@"\n')
    plugin.chmod(0o755)


if __name__ == "__main__":
    into = Path(sys.argv[2])
    {"octodns": octodns, "terraform": terraform}[sys.argv[4]](into, live(Path(sys.argv[1]), sys.argv[3]))
