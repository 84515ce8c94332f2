// Package reports turns a record and the advice on it into what people and programs read: text for
// a terminal, one JSON document, and a page that needs nothing outside of itself.
//
// All of them show one [Result], so none can say what another does not. Everything in it comes from
// the record: a report can be made again at any time, and comes out the same byte for byte.
package reports
