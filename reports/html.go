package reports

// HTML is the result as one page.
func HTML(r *Result) ([]byte, error) { return nil, nil }
