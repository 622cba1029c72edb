//! Every verdict on videos as a file, a part at a time: a site may have a million.

use actix_web::web::{Bytes, Data};
use actix_web::{Error, HttpRequest, HttpResponse};
use futures_util::TryStreamExt;
use futures_util::stream::try_unfold;
use serde_json::json;

use super::links::asked;
use crate::engine::{CheckFilter, CheckedVideo, Page, PageCursor, ROWS_A_PAGE, Verdict};
use crate::face::protocol::Time;
use crate::face::web::Shared;
use crate::face::web::asked::Query;
use crate::face::web::problem::Problem;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    Json,
}

impl Form {
    const fn name_and_type(self) -> (&'static str, &'static str) {
        match self {
            Self::Csv => ("csv", "text/csv; charset=utf-8"),
            Self::Json => ("json", "application/json"),
        }
    }

    const fn begin(self) -> &'static str {
        match self {
            Self::Csv => "video_id,verdict,reason,http_status,checked_at\r\n",
            Self::Json => "[\n",
        }
    }

    const fn end(self) -> &'static str {
        match self {
            Self::Csv => "",
            Self::Json => "\n]\n",
        }
    }

    fn row(self, video: &CheckedVideo, is_first: bool) -> String {
        let at = Time(video.checked_at.saturating_mul(1_000)).to_string();
        match self {
            Self::Csv => {
                let status = video.http_status.map(|status| status.to_string());
                let cells = [
                    &video.video_id,
                    &video.verdict,
                    &video.reason,
                    &status.unwrap_or_default(),
                    &at,
                ]
                .map(|cell| quoted(cell));
                format!("{}\r\n", cells.join(","))
            }
            Self::Json => {
                let row = json!({
                    "video_id": video.video_id, "verdict": video.verdict, "reason": video.reason,
                    "http_status": video.http_status, "checked_at": at,
                });
                format!("{}{row}", if is_first { "" } else { ",\n" })
            }
        }
    }
}

/// How what spreadsheets take for a formula begins; in Eastern Asia they take the wide signs too.
const ACTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// A cell that no reader takes for more than one, and no spreadsheet for a formula. An id may begin
/// with a dash; letters and digits alone do no harm.
fn quoted(cell: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    let acts = cell.starts_with(ACTS) && !cell.bytes().all(is_plain);
    let guard = if acts { "'" } else { "" };
    format!("\"{guard}{}\"", cell.replace('"', "\"\""))
}

/// As CSV; the API's too.
pub(in crate::face::web) async fn csv(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    export(shared, &request, Form::Csv).await
}

/// As JSON.
pub(super) async fn json(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    export(shared, &request, Form::Json).await
}

async fn export(
    shared: Data<Shared>,
    request: &HttpRequest,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(request)?;
    let found = asked(&mut query)?;
    query.end()?;
    // The first part decides whether there is a file at all.
    let first = part(&shared, found, None).await?;
    let name = found.map_or("all", Verdict::name);
    let (extension, kind) = form.name_and_type();
    let rest = Rest {
        shared,
        found,
        form,
        next: Some(Next::Have(first)),
        begun: false,
        has_rows: false,
    };
    let file = format!("attachment; filename=\"links-{name}.{extension}\"");
    Ok(HttpResponse::Ok()
        .content_type(kind)
        .insert_header(("Content-Disposition", file))
        .streaming(try_unfold(rest, Rest::more).map_err(Error::from)))
}

async fn part(
    shared: &Shared,
    found: Option<Verdict>,
    before: Option<PageCursor>,
) -> Result<Page<CheckedVideo>, Problem> {
    let filter = CheckFilter {
        found,
        before,
        limit: ROWS_A_PAGE,
    };
    let look = shared
        .site
        .videos
        .look(move |view| view.liveness_checks(&filter));
    Ok(look.await?)
}

/// What is still to be written.
struct Rest {
    shared: Data<Shared>,
    found: Option<Verdict>,
    form: Form,
    next: Option<Next>,
    begun: bool,
    has_rows: bool,
}

enum Next {
    Have(Page<CheckedVideo>),
    Seek(PageCursor),
}

impl Rest {
    /// The next part as it is written; none: that was all.
    async fn more(mut self) -> Result<Option<(Bytes, Self)>, Problem> {
        let page = match self.next.take() {
            None => return Ok(None),
            Some(Next::Have(page)) => page,
            Some(Next::Seek(before)) => part(&self.shared, self.found, Some(before)).await?,
        };
        let mut text = String::new();
        if !self.begun {
            self.begun = true;
            text.push_str(self.form.begin());
        }
        for video in &page.rows {
            text.push_str(&self.form.row(video, !self.has_rows));
            self.has_rows = true;
        }
        self.next = page.next.map(Next::Seek);
        if self.next.is_none() {
            text.push_str(self.form.end());
        }
        Ok(Some((text.into(), self)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_cell_and_no_formula() {
        assert_eq!(quoted("-Bg3w_kVyPQ"), "\"-Bg3w_kVyPQ\"");
        assert_eq!(quoted("a\"b,c\nd"), "\"a\"\"b,c\nd\"");
        assert_eq!(quoted("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(quoted("@SUM(A1)"), "\"'@SUM(A1)\"");
        assert_eq!(quoted("-2+3"), "\"'-2+3\"");
        // A spreadsheet in Eastern Asia takes the wide ones for the others.
        for begins in ["\n=1", "＝1+1", "＋1", "－1", "＠SUM"] {
            assert_eq!(quoted(begins), format!("\"'{begins}\""));
        }
    }
}
