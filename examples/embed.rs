//! A small site with the engine inside: `cargo run --example embed`, then <http://127.0.0.1:8080>.
//! It lists its videos, scores the one that is looked at, and has the dashboard under `/background`.

use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use vvv_actors::rusqlite::{self, Connection};
use vvv_actors::web::{Options, Web};
use vvv_actors::{Engine, EngineHandle, Score};

const DATABASE: &str = "target/embed.db";

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    Connection::open(DATABASE)?.execute_batch(include_str!("embed.sql"))?;
    let engine = Engine::builder().database(DATABASE).durable().start()?;
    let background = Web::new(&engine, Options::default().open_on_loopback())?;
    let (host, open) = (engine.clone(), background.clone());
    // A page that somebody looks at would hold up the stop of the server, which Ctrl-C begins.
    actix_web::rt::spawn(async move {
        if actix_web::rt::signal::ctrl_c().await.is_ok() {
            open.close();
        }
    });
    HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(host.clone()))
            .service(background.scope("/background"))
            .route("/", web::get().to(list))
            .route("/videos/{id}", web::get().to(video))
    })
    .bind("127.0.0.1:8080")?
    .run()
    .await?;
    // Ctrl-C stopped the server; what the engine has in its hands may end.
    engine.shutdown(Duration::from_secs(10)).await;
    Ok(())
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
    let scored = match engine.submit(Score { video_ids }).await {
        Ok(mut ticket) => ticket.wait().await,
        Err(error) => Err(error),
    };
    match (scored, rows(&id).unwrap_or_default().first()) {
        (Ok(_), Some((_, title, score))) => page(&format!("<h1>{title}</h1>score {score}")),
        (Ok(_), None) => HttpResponse::NotFound().body("no such video"),
        (Err(error), _) => HttpResponse::ServiceUnavailable().body(error.to_string()),
    }
}

/// Id, title and score of one video, or of all.
fn rows(id: &str) -> rusqlite::Result<Vec<(String, String, f64)>> {
    let site = Connection::open(DATABASE)?;
    let mut select = site.prepare(
        "SELECT video_id, replace(title, '<', '&lt;'), coalesce(virality_score, 0) FROM videos
         WHERE ?1 IN ('', video_id)",
    )?;
    let read = select.query_map([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    read.collect()
}

fn page(body: &str) -> HttpResponse {
    let body = format!("{body}<p><a href=\"/\">videos</a> <a href=\"/background/\">background</a>");
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .body(body)
}
