//! A small site with the engine inside: `cargo run --example embed`, then <http://127.0.0.1:8080>.
//! It lists its videos, scores the one that is looked at, and has the dashboard under `/background`.

use std::{error::Error, io::Write, time::Duration};

use actix_web::{App, HttpResponse, HttpServer, web};
use vvv_actors::rusqlite::{self, Connection};
use vvv_actors::web::{Options, Web};
use vvv_actors::{Engine, EngineHandle, Score};

const DATABASE: &str = "target/embed.db";
const SITE: &str = "127.0.0.1:8080";

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    Connection::open(DATABASE)?.execute_batch(include_str!("embed.sql"))?;
    let engine = Engine::builder().database(DATABASE).durable();
    let engine = engine.keep_pictures().start()?;
    let served = serve(engine.clone()).await;
    // Ctrl-C stopped the server, or it never began; what the engine has in its hands may end.
    engine.shutdown(Duration::from_secs(10)).await;
    served
}

async fn serve(engine: EngineHandle) -> Result<(), Box<dyn Error>> {
    let background = Web::new(&engine, Options::default().open_on_loopback())?;
    let app = move || {
        App::new()
            .app_data(web::Data::new(engine.clone()))
            .service(background.scope("/background"))
            .route("/", web::get().to(list))
            .route("/videos/{id}", web::get().to(video))
    };
    // Whoever looks at the dashboard would hold up the stop; `Web::close` is the gentler way.
    let server = HttpServer::new(app).shutdown_timeout(3);
    writeln!(std::io::stdout(), "http://{SITE}/background/")?;
    Ok(server.bind(SITE)?.run().await?)
}

async fn list() -> HttpResponse {
    let line = |(id, title, _)| format!("<li><a href=\"/videos/{id}\">{title}</a>");
    match rows("") {
        Ok(rows) => page(&rows.into_iter().map(line).collect::<String>()),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

async fn video(engine: web::Data<EngineHandle>, id: web::Path<String>) -> HttpResponse {
    let video_ids = vec![id.clone()];
    if let Ok(mut ticket) = engine.submit(Score { video_ids }).await {
        // No page waits for long, say while scoring is paused: the last score will do.
        let _ = tokio::time::timeout(Duration::from_secs(2), ticket.wait()).await;
    }
    match rows(&id).as_deref() {
        Ok([(_, title, score), ..]) => page(&format!("<h1>{title}</h1>score {score}")),
        Ok([]) => HttpResponse::NotFound().body("no such video"),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

/// Id and title, as HTML has them, and score of one video, or of all.
fn rows(id: &str) -> rusqlite::Result<Vec<(String, String, f64)>> {
    let escaped = |text: String| text.replace('<', "&lt;").replace('"', "&quot;");
    let site = Connection::open(DATABASE)?;
    let mut select = site.prepare(
        "SELECT video_id, title, coalesce(virality_score, 0) FROM videos WHERE ?1 IN ('', video_id)",
    )?;
    let read = select.query_map([id], |row| {
        Ok((escaped(row.get(0)?), escaped(row.get(1)?), row.get(2)?))
    })?;
    read.collect()
}

fn page(body: &str) -> HttpResponse {
    let body = format!("{body}<p><a href=\"/\">videos</a> <a href=\"/background/\">background</a>");
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .body(body)
}
