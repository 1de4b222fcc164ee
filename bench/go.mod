module github.com/imds-ready/imds-ready/bench

go 1.26.0

replace github.com/imds-ready/imds-ready => ..

require (
	github.com/aws/aws-sdk-go-v2/feature/ec2/imds v1.20.7
	github.com/imds-ready/imds-ready v0.0.0
	go.uber.org/goleak v1.3.0
	pgregory.net/rapid v1.3.0
)

require github.com/bmatcuk/doublestar/v4 v4.10.4 // indirect

require (
	github.com/aws/aws-sdk-go-v2 v1.47.7
	github.com/aws/smithy-go v1.28.8 // indirect
	golang.org/x/sys v0.50.0
)
