"""Checks a crate of `celldag provenance export` with roc-validator, without a network.

    pip install roc-validator==0.13.0 rocrate==0.13.0
    celldag provenance export last -o crate/ --license CC0-1.0
    python check_crate.py crate/ [REQUIRED|RECOMMENDED]

The validator fetches two JSON-LD contexts. RO-Crate's comes from the package `rocrate`, which ships it (1.1 up to 0.13); that of
workflow runs has a few terms, which stand below. The validator keeps what it fetched in ~/.cache/rocrate-validator: delete it
after another version of `rocrate` was used. Exits with 1 when a check of the given severity fails.
"""

import io
import json
import sys
from pathlib import Path

WORKFLOW_RUN = "https://w3id.org/ro/terms/workflow-run"
TERMS = ["ParameterConnection", "connection", "sourceParameter", "targetParameter", "md5", "sha1", "sha256", "sha512",
         "environment", "containerImage", "ContainerImage", "DockerImage", "SIFImage", "registry", "tag", "resourceUsage"]


def contexts():
    import rocrate

    folder = Path(rocrate.__file__).parent / "data"
    return {
        "https://w3id.org/ro/crate/1.1/context": json.loads((folder / "ro-crate.jsonld").read_text()),
        f"{WORKFLOW_RUN}/context": {"@context": {term: f"{WORKFLOW_RUN}#{term}" for term in TERMS}},
    }


def serve(documents):
    """Lets rdflib and requests find the documents; everything else is unreachable, as it is here anyway."""
    import rdflib.plugins.shared.jsonld.context as context
    import rdflib.plugins.shared.jsonld.util as util
    import requests
    import urllib3

    original = context.source_to_json

    def from_memory(source, *args, **kwargs):
        if str(source) in documents:
            return documents[str(source)], None
        return original(source, *args, **kwargs)

    context.source_to_json = util.source_to_json = from_memory

    send = requests.adapters.HTTPAdapter.send

    def answer(self, request, **kwargs):
        if request.url not in documents:
            return send(self, request, **kwargs)
        body = io.BytesIO(json.dumps(documents[request.url]).encode())
        headers = {"Content-Type": "application/ld+json"}
        response = urllib3.HTTPResponse(
            body=body, headers=headers, status=200, preload_content=False, request_url=request.url)
        return self.build_response(request, response)

    requests.adapters.HTTPAdapter.send = answer


def main():
    crate, severity = sys.argv[1], (sys.argv[2:] or ["REQUIRED"])[0]
    serve(contexts())
    from rocrate_validator import models, services

    settings = services.ValidationSettings(
        rocrate_uri=crate,
        profile_identifier="provenance-run-crate",
        requirement_severity=getattr(models.Severity, severity),
    )
    result = services.validate(settings)
    issues = result.get_issues(getattr(models.Severity, severity))
    for issue in issues:
        print(f"{issue.severity.name}: {issue.check.identifier}: {issue.message}")
    print(f"{crate}: {len(issues)} issues at {severity} or above")
    sys.exit(1 if issues else 0)


if __name__ == "__main__":
    main()
