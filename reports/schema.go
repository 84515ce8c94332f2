package reports

import _ "embed"

// Schema is the JSON Schema of result.json, draft 2020-12.
//
//go:embed result.schema.json
var Schema []byte
