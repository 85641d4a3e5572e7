package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestALimitedTokenSeesItsPartOfTheHistory(t *testing.T) {
	c := limitedClient(t)
	before := c.cluster.State().Revision()
	const batch = "pools: [{name: pa, labels: {team: a}}, {name: pb, labels: {team: b}}]"
	c.as("editors", "POST", "/v1/apply", batch).want(200)
	c.as("editors", "PUT", "/v1/pools/pb", `{"labels":{"team":"b"},"strategy":"random"}`).want(200)
	both, theirs := before+1, before+2
	for _, item := range c.as("viewers-of-a", "GET", "/v1/revisions", "").want(200).items() {
		if item["revision"] == float64(theirs) || item["revision"] == float64(both) && item["count"] != 1.0 {
			t.Errorf("it is listed: %v", item)
		}
	}
	if got := c.as("viewers-of-a", "GET", fmt.Sprintf("/v1/revisions/%d", both), "").want(200); got.changes() != "create pool pa" {
		t.Errorf("its part is %s", got.body)
	}
	c.as("viewers-of-a", "GET", fmt.Sprintf("/v1/revisions/%d", theirs), "").wantProblem(404, "not-found")
	compared := c.as("viewers-of-a", "GET", fmt.Sprintf("/v1/revisions/1/diff/%d", theirs), "").want(200)
	if strings.Contains(compared.body, "pb") || strings.Contains(compared.body, "web-b") || strings.Contains(compared.body, `"token"`) {
		t.Errorf("the comparison has what is others': %s", compared.body)
	}
	// Where an object leaves what may be seen, it is as if it were deleted.
	c.as("editors", "PUT", "/v1/pools/pa", `{"labels":{"team":"b"}}`).want(200)
	if got := c.as("viewers-of-a", "GET", fmt.Sprintf("/v1/revisions/%d", theirs+1), "").want(200); got.changes() != "delete pool pa" {
		t.Errorf("it left as %s", got.body)
	}
	if got := c.as("admins", "GET", fmt.Sprintf("/v1/revisions/%d", theirs+1), "").want(200); !strings.HasPrefix(got.changes(), "update pool pa") {
		t.Errorf("to others it is %s", got.body)
	}
}

func TestALimitedTokenTakesBackWhatItSees(t *testing.T) {
	c := limitedClient(t)
	before := c.cluster.State().Revision()
	for _, team := range []string{"a", "b"} {
		c.as("editors", "PUT", "/v1/pools/new-"+team, `{"labels":{"team":"`+team+`"}}`).want(201)
	}
	if got := c.as("editors-of-a", "POST", "/v1/rollback", fmt.Sprintf(`{"to":%d}`, before)).want(200); got.changes() != "delete pool new-a" || c.cluster.State().Pool("new-b") == nil {
		t.Errorf("it rolled back %s", got.body)
	}
	c.as("viewers-of-a", "POST", "/v1/rollback", `{"to":1}`).wantProblem(403, "forbidden")

	// What is in the way is not named to whom does not see it.
	c.as("editors-of-a", "PUT", "/v1/pools/used", `{"labels":{"team":"a"}}`).want(201)
	c.as("editors", "PUT", "/v1/routes/secret", `{"labels":{"team":"b"},"pools":[{"name":"used"}]}`).want(201)
	for _, query := range []string{"", "?dry_run=true"} {
		got := c.as("editors-of-a", "POST", "/v1/rollback"+query, fmt.Sprintf(`{"to":%d}`, before)).wantProblem(409, "in-use")
		if strings.Contains(got.body, "secret") || !strings.Contains(got.body, "pool used is needed by something") {
			t.Errorf("it is refused with %s", got.body)
		}
	}

	c.as("editors", "PUT", "/v1/pools/try-b?confirm_within=1m", `{"labels":{"team":"b"}}`).want(201)
	theirs := c.cluster.State().Revision()
	c.as("editors", "PUT", "/v1/pools/try-a?confirm_within=1m", `{"labels":{"team":"a"}}`).want(201)
	mine := c.cluster.State().Revision()
	if list := c.as("viewers-of-a", "GET", "/v1/pending", "").want(200).items(); len(list) != 1 || list[0]["revision"] != float64(mine) {
		t.Errorf("pending: %v", list)
	}
	for _, verb := range []string{"confirm", "undo"} {
		for _, query := range []string{"", "?dry_run=true"} {
			c.as("editors-of-a", "POST", fmt.Sprintf("/v1/revisions/%d/%s%s", theirs, verb, query), "").wantProblem(404, "not-found")
		}
	}
	c.as("editors-of-a", "POST", fmt.Sprintf("/v1/revisions/%d/undo", mine), "").want(200)
	if s := c.cluster.State(); s.Pool("try-a") != nil || s.Pool("try-b") == nil || len(s.Pending()) != 1 {
		t.Error("not what is its own was undone")
	}
}
