package ani

// first1 and terms1 are the terms as they were in version terms-1, by which leaves in the ledger were decided. They do
// not change any more.
var first1 = []string{"D40", "D44", "D45", "D34", "D42"}

var terms1 = []Row{
	{ID: "D40", Recipients: []Recipient{RecipientOtherCity}, Lines: []Line{{Decision: Deny}}},
	{ID: "D44", Purposes: []Purpose{PurposeConference}, Recipients: []Recipient{RecipientPrivate, RecipientSupervisor},
		Lines: []Line{{Decision: Deny}}},
	{ID: "D45", Purposes: []Purpose{PurposeIntegration}, Recipients: []Recipient{RecipientVendor, RecipientCity},
		Lines: []Line{{Decision: Deny}}},
	{ID: "D34", Purposes: []Purpose{PurposeQuality}, Recipients: []Recipient{RecipientSupervisor}, Lines: []Line{{Decision: Deny}}},
	{ID: "D42", Lines: []Line{{NoNumber: true, Decision: Deny}}},
	{ID: "D01", Purposes: []Purpose{PurposeRouting}, Recipients: []Recipient{RecipientEngine},
		Lines: []Line{{Decision: Full}}, Always: inside1},
	{ID: "D08", Purposes: []Purpose{PurposeLiveCall}, Recipients: []Recipient{RecipientAgent},
		Lines: []Line{{Privacy: Unrestricted, Relation: RelationHandling, Decision: Mask}}, Always: outside1},
	{ID: "D47", Lines: []Line{{Decision: Deny}}},
}

var (
	inside1  = []Obligation{"O1", "O2", "O3", "O9"}
	outside1 = []Obligation{"O1", "O2", "O3", "O4", "O8", "O9"}
)
