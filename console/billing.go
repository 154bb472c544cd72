package console

import (
	"context"
	"net/http"

	"callhall/ani"
	"callhall/call"

	"github.com/danielgtaylor/huma/v2"
)

// billingRoutes puts the routes of what was billed to carriers into the API.
func (c *Console) billingRoutes(api huma.API) {
	office := c.deps.Office
	lists(c, api, operation(http.MethodGet, "/billing/batches", "Batches of charged calls, and the root over the calls of each"), office.Batches,
		func(b ani.Batch) string { return b.ID })
	proof := operation(http.MethodGet, "/calls/{id}/billing-proof", "That a call stands in a batch, and nothing of any other call")
	proof.Description = "With the salt for whom the number of this call was revealed for a dispute, and then with a leaf. Only over TLS or from this machine."
	actsOn(c, api, proof, func(ctx context.Context, city call.CityID, id string, by ani.Person) (ani.BatchProof, error) {
		return office.ProveBilled(ctx, city, call.ID(id), by)
	})
}
