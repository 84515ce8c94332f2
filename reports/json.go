package reports

import (
	"encoding/json"
	"fmt"
	"io"

	"advise/targets/plain"
)

// JSON writes the result as exactly one indented document with a newline behind it.
func JSON(w io.Writer, r *Result) error {
	return Document(w, r)
}

// Document writes a value as such a document.
func Document(w io.Writer, document any) error {
	data, err := encode(document)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

func encode(document any) ([]byte, error) {
	data, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the result: %w", err)
	}
	return append(plain.JSON(data), '\n'), nil
}
