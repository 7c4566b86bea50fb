//! OTLP over gRPC.

use std::net::SocketAddr;

use anyhow::Result;
use opentelemetry_proto::tonic::collector::{
    logs::v1::{
        ExportLogsServiceRequest, ExportLogsServiceResponse,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    metrics::v1::{
        ExportMetricsServiceRequest, ExportMetricsServiceResponse,
        metrics_service_server::{MetricsService, MetricsServiceServer},
    },
    trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, codec::CompressionEncoding, transport::Server};

use super::Received;

/// A gRPC server on a free port; ends when dropped.
pub(super) struct GrpcPeer {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl GrpcPeer {
    pub(super) async fn start(received: Received) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let gzip = CompressionEncoding::Gzip;
        let server = Server::builder()
            .add_service(TraceServiceServer::new(received.clone()).accept_compressed(gzip))
            .add_service(MetricsServiceServer::new(received.clone()).accept_compressed(gzip))
            .add_service(LogsServiceServer::new(received).accept_compressed(gzip))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let serving = tokio::spawn(async move { drop(server.await) });
        Ok(Self { address, serving })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for GrpcPeer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.record_traces(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Received {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.record_metrics(request.into_inner());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Received {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.record_logs(request.into_inner());
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}
