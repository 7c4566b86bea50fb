module goblin/native/builder

go 1.26

require go.opentelemetry.io/collector/cmd/builder v0.155.0
