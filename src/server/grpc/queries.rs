//! Queries, subscriptions, questions and the state over gRPC.

use std::time::Duration;

use dunlin_query::topology::QueryAnswer;
use dunlin_stream::Timestamp;
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::Face;
use super::proto::ask_server::Ask;
use super::proto::queries_server::Queries;
use super::proto::state_server::State;
use super::proto::subscribe_server::Subscribe;
use super::proto::{
    Answer, AskRequest, CreateRequest, Deleted, Event, ListRequest, ListResponse, Object, ObjectId,
    Position, QueryId, StandingQuery, StateRequest, StateResponse, SubscribeRequest, event,
};
use crate::server::app::Subscription;
use crate::server::error::QueryError;
use crate::server::http::state_text;
use crate::server::hub::{EventKind, Tag};
use crate::server::queries::check_once;

const PAGE: u64 = 1_000;
const PAGE_MAX: u64 = 10_000;
/// Events on their way beside those of the hub.
const AHEAD: usize = 4;
/// A client that takes nothing for so long is cut.
const PATIENCE: Duration = Duration::from_secs(60);

#[tonic::async_trait]
impl Queries for Face {
    async fn create(
        &self,
        request: Request<CreateRequest>,
    ) -> Result<Response<StandingQuery>, Status> {
        let id = self.app.create(request.into_inner().json).await?;
        self.standing(id)
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let ListRequest { offset, limit } = request.into_inner();
        let limit = if limit == 0 { PAGE } else { limit.min(PAGE_MAX) };
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let (page, total) = self
            .app
            .registry(|registry| (registry.page(offset, limit as usize), registry.len() as u64));
        let query = |(id, json): (String, std::sync::Arc<str>)| StandingQuery {
            id,
            json: json.to_string(),
        };
        Ok(Response::new(ListResponse { queries: page.into_iter().map(query).collect(), total }))
    }

    async fn get(&self, request: Request<QueryId>) -> Result<Response<StandingQuery>, Status> {
        self.standing(request.into_inner().id)
    }

    async fn delete(&self, request: Request<QueryId>) -> Result<Response<Deleted>, Status> {
        self.app.remove(&request.into_inner().id).await?;
        Ok(Response::new(Deleted {}))
    }
}

impl Face {
    fn standing(&self, id: String) -> Result<Response<StandingQuery>, Status> {
        let json = self.app.registry(|registry| registry.get(&id).map(|it| it.text.to_string()));
        match json {
            Some(json) => Ok(Response::new(StandingQuery { id, json })),
            None => Err(QueryError::Unknown { id }.into()),
        }
    }
}

#[tonic::async_trait]
impl Subscribe for Face {
    type SubscribeStream = ReceiverStream<Result<Event, Status>>;

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let SubscribeRequest { id, resume_after } = request.into_inner();
        let resume = resume_after.map(|Position { epoch, index }| Tag { epoch, index });
        let subscription = self.app.subscribe(&id, resume).await?;
        let (events, stream) = channel(AHEAD);
        tokio::spawn(forward(subscription, events));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

async fn forward(mut subscription: Subscription, events: Sender<Result<Event, Status>>) {
    loop {
        let told = tokio::select! {
            told = subscription.recv() => told,
            () = events.closed() => return,
        };
        let Some(told) = told else { return };
        let kind = match told.kind {
            EventKind::Answer => event::Kind::Answer,
            EventKind::Delta => event::Kind::Delta,
        };
        let position = Some(Position { epoch: told.tag.epoch, index: told.tag.index });
        let event = Event { kind: kind.into(), position, json: told.text.clone() };
        match tokio::time::timeout(PATIENCE, events.send(Ok(event))).await {
            Ok(Ok(())) => {}
            _ => return,
        }
    }
}

#[tonic::async_trait]
impl Ask for Face {
    async fn ask(&self, request: Request<AskRequest>) -> Result<Response<Answer>, Status> {
        let text = request.into_inner().json;
        let question = check_once(&text, self.app.core.space(), &self.app.limits)?;
        let asked = self.app.core.ask(move |look| (look.epoch().1, look.find(&question))).await;
        let (time, answer) = asked.map_err(QueryError::from)?;
        Ok(Response::new(as_answer(time, &answer)))
    }

    async fn get_object(&self, request: Request<ObjectId>) -> Result<Response<Object>, Status> {
        let id = request.into_inner().id;
        let name = id.clone();
        let asked = self.app.core.ask(move |look| look.object(&name)).await;
        let Some(found) = asked.map_err(QueryError::from)? else {
            return Err(Status::not_found(format!("there is no object {id:?}")));
        };
        let time = Some(found.time.as_millis());
        Ok(Response::new(Object { id, x: found.at.x, y: found.at.y, distance: None, time }))
    }
}

fn as_answer(time: Timestamp, answer: &QueryAnswer) -> Answer {
    let objects = answer.objects().map(|(id, distance, at)| Object {
        id: id.to_owned(),
        x: at.x,
        y: at.y,
        distance,
        time: None,
    });
    Answer { time: time.as_millis(), objects: objects.collect() }
}

#[tonic::async_trait]
impl State for Face {
    async fn get_state(&self, _: Request<StateRequest>) -> Result<Response<StateResponse>, Status> {
        let json = state_text(&self.app).await.map_err(QueryError::from)?;
        Ok(Response::new(StateResponse { json }))
    }
}
