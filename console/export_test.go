package console

import "net/http"

// Routes lists the routes of the table, for tests.
func Routes() []string {
	var routes []string
	for _, r := range table {
		routes = append(routes, r.route)
	}
	return routes
}

// Handle puts a route into the mux behind the table's back.
func (c *Console) Handle(route string, h http.HandlerFunc) { c.mux.HandleFunc(route, h) }

// ProblemNames lists the ends of every Type that a problem may have.
func ProblemNames() []string {
	names := []string{insecure.name}
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// Sentence is what is said of a value in the words of another's code.
func Sentence(message string) string { return sentence(message) }
