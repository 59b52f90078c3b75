//! Where commands about policies work: over the operator API of a running server, or on a store file.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use fastlead_core::id::{LeadId, ProjectId, WorkspaceId};
use fastlead_core::message::Locale;
use fastlead_core::policy::{Policy, PolicyFault};
use fastlead_core::secret::Secret;
use fastlead_core::{Error, ErrorKind, Result};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Access, Program, installation};
use crate::problem::Problem;
use crate::server::Server;
use crate::{operator, policies};

/// Which installation, and which project of it.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The server.
    #[arg(long, env = "FASTLEAD_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// An API key of the role `admin`; better in the environment than here, where others see it.
    #[arg(long, env = "FASTLEAD_API_KEY", hide_env_values = true)]
    api_key: Option<Secret<String>>,
    /// Work on this SQLite file instead. Nothing is published while its server runs, for it would not hear of it.
    #[arg(long)]
    store: Option<PathBuf>,
    /// The project's name or id; not needed where there is only one.
    #[arg(long)]
    project: Option<String>,
}

/// A desk to work at.
#[derive(Debug)]
pub(super) enum Desk {
    /// A server that runs elsewhere.
    Api { client: reqwest::Client, url: String, key: Secret<String> },
    /// A store file.
    Store(Box<Server>),
}

/// A project, and whose it is.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    pub(super) id: ProjectId,
    pub(super) workspace: Option<WorkspaceId>,
    pub(super) name: String,
}

impl Place {
    /// Whether an installation was named.
    pub(super) const fn is_given(&self) -> bool {
        self.api_key.is_some() || self.store.is_some()
    }

    /// Goes there, to look.
    pub(super) async fn open(&self, program: Program) -> Result<Desk> {
        self.open_for(program, Access::BesideServer).await
    }

    /// Goes there, to change something that a running server keeps in memory.
    pub(super) async fn open_to_write(&self, program: Program) -> Result<Desk> {
        self.open_for(program, Access::Alone).await
    }

    async fn open_for(&self, mut program: Program, access: Access) -> Result<Desk> {
        if let Some(path) = &self.store {
            if !path.is_file() {
                let message = format!("--store: there is no file {}", path.display());
                return Err(Error::new(ErrorKind::NotFound, message));
            }
            program.settings.store.path = path.clone();
            return Ok(Desk::Store(Box::new(installation(program, access).await?)));
        }
        let key = self.api_key.clone().ok_or_else(|| {
            let message = "--api-key: give an API key in FASTLEAD_API_KEY, or a store file with --store";
            Error::new(ErrorKind::Unauthenticated, message)
        })?;
        // Another part of the program may have installed the same one.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .build()
            .map_err(|error| Error::new(ErrorKind::Config, format!("--url: {error}")))?;
        Ok(Desk::Api { client, url: self.url.trim_end_matches('/').to_owned(), key })
    }

    /// The project that is meant.
    pub(super) async fn choose(&self, desk: &Desk) -> Result<Chosen> {
        let projects = desk.projects().await?;
        let wanted = |project: &&Chosen| match &self.project {
            Some(name) => project.name == *name || project.id.to_string() == *name,
            None => true,
        };
        let found: Vec<&Chosen> = projects.iter().filter(wanted).collect();
        match found[..] {
            [project] => Ok(project.clone()),
            _ => {
                let names: Vec<String> =
                    projects.iter().map(|project| format!("{} ({})", project.name, project.id)).collect();
                let message = format!("--project: name one of these: {}", names.join(", "));
                Err(Error::new(ErrorKind::NotFound, message))
            }
        }
    }
}

/// A problem as a fault of a command, with everything that must be mended.
fn fault(problem: Problem) -> Error {
    let detail = problem.detail.unwrap_or(problem.title);
    let more: Vec<String> =
        problem.errors.iter().skip(1).map(|error| format!("{}: {}", error.field, error.message)).collect();
    let text = if more.is_empty() { detail } else { format!("{detail}; {}", more.join("; ")) };
    Error::new(ErrorKind::Invalid, text)
}

fn strange(what: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("the server's answer has no {what}; is it of another version?"))
}

impl Desk {
    async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(StatusCode, Value)> {
        let Self::Api { client, url, key } = self else {
            return Err(Error::new(ErrorKind::Internal, "a store file has no address"));
        };
        let mut request = client.request(method, format!("{url}{path}")).bearer_auth(key.expose());
        if let Some(body) = body {
            request = request.json(body);
        }
        let unreachable = |error: reqwest::Error| {
            let message = format!("{url} is not reachable: {}", error.without_url());
            Error::new(ErrorKind::Unavailable, message)
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let text = response.text().await.map_err(unreachable)?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() || status == StatusCode::NOT_FOUND {
            return Ok((status, answer));
        }
        let detail = answer["detail"].as_str().map_or_else(|| format!("answered {status}"), str::to_owned);
        let errors = answer["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let more = errors.iter().skip(1).filter_map(|error| {
            Some(format!("; {}: {}", error["field"].as_str()?, error["message"].as_str()?))
        });
        Err(Error::new(ErrorKind::Invalid, format!("{detail}{}", more.collect::<String>())))
    }

    /// The same; what is not there is a fault.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        match self.request(method, path, body).await? {
            (StatusCode::NOT_FOUND, answer) => {
                let detail = answer["detail"].as_str().unwrap_or("this address does not exist").to_owned();
                Err(Error::new(ErrorKind::NotFound, detail))
            }
            (_, answer) => Ok(answer),
        }
    }

    async fn projects(&self) -> Result<Vec<Chosen>> {
        if let Self::Store(server) = self {
            let projects = server.app().store.load().await?.projects.into_iter();
            let chosen = projects.map(|project| Chosen {
                id: project.id,
                workspace: Some(project.workspace_id),
                name: project.name,
            });
            return Ok(chosen.collect());
        }
        let answer = self.call(Method::GET, "/v1/projects", None).await?;
        let items = answer["items"].as_array().ok_or_else(|| strange("projects"))?;
        let chosen = items.iter().map(|item| {
            let id = item["id"].as_str().and_then(|id| id.parse().ok()).ok_or_else(|| strange("id"))?;
            Ok(Chosen { id, workspace: None, name: item["name"].as_str().unwrap_or_default().to_owned() })
        });
        chosen.collect()
    }

    fn workspace(project: &Chosen) -> Result<WorkspaceId> {
        project.workspace.ok_or_else(|| Error::new(ErrorKind::Internal, "a project without a workspace"))
    }

    /// The current version; `None` where none was published.
    pub(super) async fn current(&self, project: &Chosen) -> Result<Option<(u32, Policy)>> {
        if let Self::Store(server) = self {
            let found = policies::current(server.app(), Self::workspace(project)?, project.id).await?;
            return Ok(found.map(|record| (record.reference.version, Policy::clone(&record.policy))));
        }
        let path = format!("/v1/projects/{}/policy", project.id);
        match self.request(Method::GET, &path, None).await? {
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (_, answer) => versioned(&answer).map(Some),
        }
    }

    /// A version that was published.
    pub(super) async fn version(&self, project: &Chosen, version: u32) -> Result<Policy> {
        if let Self::Store(server) = self {
            let workspace = Self::workspace(project)?;
            let record = policies::version(server.app(), workspace, project.id, version).await;
            return record.map(|record| Policy::clone(&record.policy)).map_err(fault);
        }
        let path = format!("/v1/projects/{}/policies/{version}", project.id);
        let answer = self.call(Method::GET, &path, None).await?;
        Ok(versioned(&answer)?.1)
    }

    /// What is wrong with a policy there.
    pub(super) async fn faults(&self, project: &Chosen, policy: &Policy) -> Result<Vec<PolicyFault>> {
        if let Self::Store(server) = self {
            let checked = policies::check(server.app(), Self::workspace(project)?, policy);
            return Ok(checked.err().unwrap_or_default());
        }
        let path = format!("/v1/projects/{}/policy/validate", project.id);
        let answer = self.call(Method::POST, &path, Some(&document(policy)?)).await?;
        let errors = answer["errors"].as_array().ok_or_else(|| strange("errors"))?;
        let text = |error: &Value, name: &str| error[name].as_str().unwrap_or_default().to_owned();
        let fault = |error| PolicyFault { path: text(error, "path"), message: text(error, "message") };
        Ok(errors.iter().map(fault).collect())
    }

    /// Publishes a policy; answers its version.
    pub(super) async fn publish(&self, project: &Chosen, policy: Policy) -> Result<u32> {
        if let Self::Store(server) = self {
            let workspace = Self::workspace(project)?;
            let record = policies::publish(server.app(), workspace, project.id, policy).await;
            return record.map(|record| record.reference.version).map_err(fault);
        }
        let path = format!("/v1/projects/{}/policy", project.id);
        let answer = self.call(Method::PUT, &path, Some(&document(&policy)?)).await?;
        Ok(versioned(&answer)?.0)
    }

    /// Publishes an older version again; answers the new version.
    pub(super) async fn roll_back(&self, project: &Chosen, to: u32) -> Result<u32> {
        if let Self::Store(server) = self {
            let workspace = Self::workspace(project)?;
            let record = policies::roll_back(server.app(), workspace, project.id, to).await;
            return record.map(|record| record.reference.version).map_err(fault);
        }
        let path = format!("/v1/projects/{}/policy/rollback", project.id);
        let answer = self.call(Method::POST, &path, Some(&json!({"version": to}))).await?;
        Ok(versioned(&answer)?.0)
    }

    /// Everything that happened to a lead, as the operator API says it.
    pub(super) async fn explain(&self, lead: LeadId, locale: Locale) -> Result<Value> {
        let Self::Store(server) = self else {
            let locale = match locale {
                Locale::Ru => "ru",
                Locale::En => "en",
            };
            return self.call(Method::GET, &format!("/v1/leads/{lead}/explain?locale={locale}"), None).await;
        };
        let app = server.app();
        for workspace in app.store.load().await?.workspaces {
            let record = match app.store.lead(workspace.id, lead).await {
                Ok(None) => continue,
                Ok(record) => record,
                Err(error) if error.kind() == ErrorKind::Unreadable => None,
                Err(error) => return Err(error),
            };
            let explained = operator::explanation(app, workspace.id, lead, record, locale).await?;
            return serde_json::to_value(explained)
                .map_err(|_| Error::new(ErrorKind::Internal, "an explanation cannot be written as JSON"));
        }
        Err(Error::new(ErrorKind::NotFound, "this lead does not exist"))
    }
}

fn document(policy: &Policy) -> Result<Value> {
    serde_json::to_value(policy)
        .map_err(|_| Error::new(ErrorKind::Internal, "the policy cannot be written as JSON"))
}

fn versioned(answer: &Value) -> Result<(u32, Policy)> {
    let version = answer["version"].as_u64().and_then(|version| u32::try_from(version).ok());
    let version = version.ok_or_else(|| strange("version"))?;
    let policy = serde_json::from_value(answer["policy"].clone())
        .map_err(|_| strange("policy that this program reads"))?;
    Ok((version, policy))
}
