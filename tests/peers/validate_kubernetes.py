"""Checks Kubernetes manifests against the schemas of Kubernetes and of the Prometheus operator, strictly.

    validate_kubernetes.py CRDS VERSION... < manifests.yaml

Each document must have a schema: of each VERSION of Kubernetes (as 1.35), or in a file of the folder CRDS. A field that
the schema does not list is an error, and so is a key that stands twice. Prints the documents as a JSON array; or what
is wrong, a line each, and exits with 1.

A custom resource's schema says nothing of `metadata`, which is held against that of Kubernetes. The rules of a CRD that
are written in CEL are not run.
"""

import json
import pathlib
import sys

import jsonschema
import kubernetes_validate
import yaml


# YAML 1.1 has a meaning for a plain `=`; the CRDs mean the character, as YAML 1.2 does.
for loader in (yaml.SafeLoader, yaml.CSafeLoader):
    loader.add_constructor("tag:yaml.org,2002:value", loader.construct_yaml_str)


class Loader(yaml.SafeLoader):
    """YAML, each key once."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def strict(schema):
    """The schema, which takes no field that it does not list."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(value) for name, value in schema.items()}
    # Under `properties` a field may have any name: that of a keyword is no list of properties.
    listed = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    if listed and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made


def custom(folder):
    """The schemas of the custom resources, by apiVersion and kind."""
    schemas = {}
    for file in sorted(pathlib.Path(folder).glob("*.yaml")):
        spec = yaml.load(file.read_text(), yaml.CSafeLoader)["spec"]
        for version in spec["versions"]:
            name = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
            schemas[name] = strict(version["schema"]["openAPIV3Schema"])
    return schemas


def faults(document, schemas, versions):
    """What is wrong with a document."""
    schema = schemas.get((document.get("apiVersion"), document.get("kind")))
    if schema:
        for error in jsonschema.Draft202012Validator(schema).iter_errors(document):
            yield f"{error.json_path}: {error.message}"
        document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": document["metadata"]}
    for version in versions:
        try:
            used = kubernetes_validate.validate(document, version, strict=True)
            if used != version:
                yield f"there are no schemas of Kubernetes {version}, only of {used}"
        except kubernetes_validate.ValidationError as error:
            yield f"{error.json_path}: {error.message} (Kubernetes {version})"
        except kubernetes_validate.SchemaNotFoundError as error:
            yield error.message


def main(folder, *versions):
    """Checks standard input."""
    schemas = custom(folder)
    documents = [one for one in yaml.load_all(sys.stdin, Loader) if one is not None]
    wrong = 0
    for document in documents:
        name = f"{document.get('kind')} {document.get('metadata', {}).get('name')}"
        for fault in faults(document, schemas, versions):
            wrong += 1
            print(f"{name}: {fault}")
    if wrong or not documents:
        sys.exit(f"{wrong} faults in {len(documents)} documents")
    print(json.dumps(documents))


if __name__ == "__main__":
    main(*sys.argv[1:])
