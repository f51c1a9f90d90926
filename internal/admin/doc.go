// Package admin serves what people and their tools ask a running lambdamesh:
// whether it lives and is ready, its metrics, and its state, as pages for a browser
// and as JSON. It reads through Sources and changes nothing.
package admin
