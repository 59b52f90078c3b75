//! The first start: an administrator, a workspace, a project and a source to begin with.

use fastlead_core::engine::stable_uuid;
use fastlead_core::id::{ProjectId, SourceId, UserId, WorkspaceId};
use fastlead_core::lead::{ConsentDocument, ConsentPurpose};
use fastlead_core::message::Locale;
use fastlead_core::port::{FormSettings, Project, Role, Source, SourceLimits, UserRecord, Workspace};
use fastlead_core::secret::{Pii, Secret};
use fastlead_core::{Error, ErrorKind, Result};
use rand::RngExt as _;

use crate::app::App;
use crate::{auth, keys};

/// What a first start made.
#[derive(Debug)]
pub struct FirstRun {
    /// The administrator's login.
    pub login: &'static str,
    /// The password, where one was made up; it is shown once.
    pub password: Option<Secret<String>>,
    /// The public key of the first source.
    pub source_key: String,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The project.
    pub project_id: ProjectId,
}

/// Characters of a password that is made up.
pub(crate) const PASSWORD_CHARS: usize = 20;

/// The name of the first administrator.
pub const ADMIN: &str = "admin";

/// Makes what a server needs to begin with, unless there are users already.
///
/// # Errors
/// Where the store cannot be written.
pub async fn first_run(app: &App, source_key: &str) -> Result<Option<FirstRun>> {
    if app.store.count_users().await? > 0 {
        keep_password_setting(app).await?;
        return Ok(None);
    }
    let now = app.engine.clock().now();
    let ids = &**app.engine.ids();
    let workspace_id = WorkspaceId::from_uuid(stable_uuid("workspace", "first"));
    let project_id = ProjectId::from_uuid(stable_uuid("project", "first"));
    app.store.put_workspace(Workspace { id: workspace_id, name: "Main".to_owned(), created_at: now }).await?;
    let project = Project { id: project_id, workspace_id, name: "Main".to_owned(), created_at: now };
    app.store.put_project(project.clone()).await?;
    app.engine.put_project(project);
    let source = Source {
        id: SourceId::generate(ids, now),
        workspace_id,
        project_id,
        key: source_key.to_owned(),
        name: "Website".to_owned(),
        active: true,
        locale: Locale::Ru,
        allowed_origins: Vec::new(),
        consents: starter_consents(),
        form: FormSettings::default(),
        limits: SourceLimits::default(),
        mapping: Default::default(),
        created_at: now,
    };
    app.store.put_source(source.clone()).await?;
    app.engine.put_source(source);
    let given = app.settings.auth.admin_password.expose();
    let (password, shown) = if given.is_empty() {
        let made = random_text(PASSWORD_CHARS);
        (made.clone(), Some(Secret::new(made)))
    } else {
        (given.clone(), None)
    };
    let user = UserRecord {
        id: UserId::generate(ids, now),
        workspace_id,
        login: Pii::from(ADMIN),
        password_hash: crate::auth::hash_password(&password).await?,
        role: Role::Admin,
        created_at: now,
        tokens_valid_from: now,
        disabled_at: None,
    };
    if !given.is_empty() {
        keys::mark_password(&app.keyring, &*app.store, given).await?;
    }
    // The user comes last: a start that was interrupted before is simply made again.
    app.store.put_user(user).await?;
    Ok(Some(FirstRun {
        login: ADMIN,
        password: shown,
        source_key: source_key.to_owned(),
        workspace_id,
        project_id,
    }))
}

/// Gives the first administrator the password of the settings where that was changed since it was given last; a password that
/// the administrator has chosen since stays otherwise.
///
/// # Errors
/// [`ErrorKind::Config`] where it cannot be used, or nobody is called `admin`; those of the store.
async fn keep_password_setting(app: &App) -> Result<()> {
    let password = &app.settings.auth.admin_password;
    let given = password.expose();
    if given.is_empty() {
        return Ok(());
    }
    let marked = keys::is_marked(&app.keyring, &*app.store, given).await?;
    if marked == Some(true) {
        return Ok(());
    }
    let fault = |message: &str| {
        Error::new(ErrorKind::Config, format!("auth.admin_password: {message}")).with_operation("start")
    };
    let user = app.store.user_by_login(ADMIN).await?;
    let user = user.ok_or_else(|| fault("nobody is called `admin`; take the setting out"))?;
    // An earlier version has noted nothing, and knew no other way to change a password.
    let is_in_force = marked.is_none() && auth::is_password_of(given, &user).await?;
    if !is_in_force {
        let user = UserRecord { disabled_at: None, ..user };
        let now = app.engine.clock().now();
        auth::set_password(&*app.store, user, password, None, now).await.map_err(|error| {
            match error.kind() {
                ErrorKind::Invalid => fault(error.message()),
                _ => error,
            }
        })?;
        tracing::warn!(
            "auth.admin_password was changed: `admin` has that password now, and all sessions have ended"
        );
    }
    keys::mark_password(&app.keyring, &*app.store, given).await
}

/// Letters and digits that are not mistaken for each other.
pub fn random_text(length: usize) -> String {
    const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect()
}

/// Two separate documents, as 152-FZ and 38-FZ ask, in both languages. The texts are samples: the operator puts in its own
/// name, address and purposes, and has a lawyer read them.
fn starter_consents() -> Vec<ConsentDocument> {
    let document = |locale, purpose: ConsentPurpose, label: &str, text: &str| ConsentDocument {
        purpose,
        locale: Some(locale),
        document_id: purpose.as_str().replace('_', "-"),
        version: "1".to_owned(),
        label: label.to_owned(),
        text: text.to_owned(),
        required: purpose == ConsentPurpose::PersonalData,
    };
    vec![
        document(
            Locale::Ru,
            ConsentPurpose::PersonalData,
            "Я согласен на обработку персональных данных",
            "Образец. Замените своим текстом.\n\nЯ даю оператору [наименование, адрес] согласие на обработку моих \
             персональных данных: имя, номер телефона, адрес электронной почты — в целях ответа на мою заявку. \
             Действия: сбор, запись, хранение, использование, передача исполнителям заявки, удаление. Согласие \
             действует до достижения цели и может быть отозвано письмом на адрес оператора.",
        ),
        document(
            Locale::Ru,
            ConsentPurpose::Advertising,
            "Я согласен получать рекламу",
            "Образец. Замените своим текстом.\n\nЯ согласен получать от оператора [наименование, адрес] рекламу по \
             телефону, SMS, электронной почте и в мессенджерах. Согласие можно отозвать в любой момент.",
        ),
        document(
            Locale::En,
            ConsentPurpose::PersonalData,
            "I agree to the processing of my personal data",
            "Sample. Replace it by your own text.\n\nI give the operator [name, address] my consent to process my \
             personal data: name, phone number, e-mail address, in order to answer my request. Actions: collecting, \
             recording, keeping, using, handing over to those who carry out the request, erasing. The consent holds \
             until the purpose is reached and can be withdrawn by a letter to the operator's address.",
        ),
        document(
            Locale::En,
            ConsentPurpose::Advertising,
            "I agree to receive advertising",
            "Sample. Replace it by your own text.\n\nI agree to receive advertising from the operator [name, address] by \
             phone, SMS, e-mail and in messengers. The consent can be withdrawn at any time.",
        ),
    ]
}
