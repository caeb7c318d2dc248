#!/bin/sh
# Whether what is kept was made from what is here: the types from the API's description, api/ui from ui/.
set -e
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
npx openapi-typescript ../docs/openapi.json --output "$place/schema.d.ts" --root-types --root-types-no-schema-prefix --alphabetize
npx vite build --logLevel error --outDir "$place/page" --emptyOutDir
diff -r "$place/schema.d.ts" src/api/schema.d.ts && diff -r "$place/page" ../api/ui || {
    echo "the page is not fresh: make page, and commit what it makes" >&2
    exit 1
}
