//! Pictures of pages.

use std::io::{BufReader, Read as _, Seek as _};
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{Data, Path};

use super::Pages;
use super::routes::No;
use crate::corpus::beneath::Root;
use crate::corpus::media::{Seen, look};
use crate::domain::image::Format;
use crate::domain::recipe::Preparation;
use crate::kit::path_bytes::to_path;
use crate::ledger::reader::ImageResult;
use crate::ops::report::picture::made;

/// Pixels of its longer side: what a model sees of a page at most, and more than a screen has.
const LONGEST_SIDE: u32 = 2_048;
const QUALITY: u8 = 85;
const MOST_BYTES: u64 = 16 << 20;
/// Longest original that is handed to a browser, in bytes.
const MOST_ORIGINAL: u64 = 256 << 20;
/// A page that is gone back to is not made again; nobody else keeps it.
const KEPT: &str = "private, max-age=300";

/// A page as a picture that any browser shows at once.
pub(super) async fn picture(pages: Data<Pages>, id: Path<i64>) -> Result<HttpResponse, No> {
    let pages = pages.into_inner();
    let easel = Arc::clone(&pages.easel).lock_owned().await;
    let picture = pages
        .apart(move |pages| {
            let _easel = easel;
            let image = pages.image(&pages.reader()?, *id)?;
            let how = Preparation { longest_side: LONGEST_SIDE, jpeg_quality: QUALITY, ..Preparation::default() };
            made(&image, how, pages.settings().encode.max_pixels, MOST_BYTES).map_err(No::Conflict)
        })
        .await?;
    Ok(answer(picture.format, picture.bytes))
}

/// The file itself, where a browser can show it.
pub(super) async fn original(pages: Data<Pages>, id: Path<i64>) -> Result<HttpResponse, No> {
    let (format, bytes) = pages.into_inner().apart(move |pages| file(&pages.image(&pages.reader()?, *id)?)).await?;
    Ok(answer(format, bytes))
}

fn file(image: &ImageResult) -> Result<(Format, Vec<u8>), No> {
    let gone = |cause: std::io::Error| No::Conflict(cause.to_string());
    let (file, stamp) = Root::open(&to_path(&image.root)).and_then(|root| root.file(&image.path)).map_err(gone)?;
    let mut file = BufReader::new(file);
    let format = match look(&mut file, stamp.bytes).map_err(gone)? {
        Seen::One(format, _) if is_shown(format) => format,
        _ => return Err(No::Conflict("Browsers do not show this kind of file.".to_owned())),
    };
    if stamp.bytes > MOST_ORIGINAL {
        return Err(No::Conflict("The file is too large for a browser.".to_owned()));
    }
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.take(MOST_ORIGINAL).read_to_end(&mut bytes)).map_err(gone)?;
    Ok((format, bytes))
}

/// Whether browsers show a format.
fn is_shown(format: Format) -> bool {
    matches!(format, Format::Jpeg | Format::Png | Format::Webp | Format::Gif | Format::Bmp)
}

fn answer(format: Format, bytes: Vec<u8>) -> HttpResponse {
    HttpResponse::Ok().content_type(format.media_type()).insert_header((CACHE_CONTROL, KEPT)).body(bytes)
}
