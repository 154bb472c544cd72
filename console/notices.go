package console

import (
	"net/http"

	"callhall/ani"

	"github.com/danielgtaylor/huma/v2"
)

// noticeRoutes puts the routes of what the city's owner is told, and of recalls, into the API.
func (c *Console) noticeRoutes(api huma.API) {
	office := c.deps.Office
	lists(c, api, operation(http.MethodGet, "/owner-notices", "What the city's owner is told of"), office.Notices, func(n ani.Notice) string { return n.ID })
	actsOn(c, api, operation(http.MethodPost, "/owner-notices/{id}/acknowledge", "Say that the owner has read a notice"), office.Acknowledge)
	lists(c, api, operation(http.MethodGet, "/recalls", "Messages to recipients who must no longer use a number"), office.Recalls,
		func(r ani.Recall) string { return r.ID })
	actsOn(c, api, operation(http.MethodPost, "/recalls/{id}/delivered", "Say that the recipient has the message"), office.RecallDelivered)
}
