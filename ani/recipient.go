package ani

import "strings"

// readers are the recipients who are people of the city or of its vendor, and who read themselves what they ask for.
var readers = []Recipient{RecipientAgent, RecipientSupervisor, RecipientVendor}

// whoIs is the name of a person in an actor, to tell the subject who has read their number: "ana" of "agent:ana", and
// "eve" of "token:eve/tok_…". It is empty where it may carry a number.
func whoIs(actor string) string {
	_, name, found := strings.Cut(actor, ":")
	if !found {
		return plainName(actor)
	}
	name, _, _ = strings.Cut(name, "/tok_")
	return plainName(name)
}

// plainName is a name that we give a recipient, or none where it cannot be told from a number: it stops no release.
func plainName(name string) string {
	if !plainCase(name) {
		return ""
	}
	return name
}
