package reports

import (
	"encoding/json"
	"fmt"
	"io"
)

// JSON writes the result as exactly one indented document with a newline behind it.
func JSON(w io.Writer, r *Result) error {
	data, err := encode(r)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

func encode(r *Result) ([]byte, error) {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the result: %w", err)
	}
	return append(data, '\n'), nil
}
