package table

// Page is a body with its type.
type Page struct {
	Body        []byte
	ContentType string
}

// Respond is a fixed response.
type Respond struct {
	Status int
	Page
}

// Mirror is where a share of the requests is copied to. Who sends them draws
// which.
type Mirror struct {
	Pool    string
	Percent int // 1 to 100
}
