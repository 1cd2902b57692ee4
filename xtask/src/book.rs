//! The book: mdBook builds it from `docs/`, and every link in the result is followed.

use crate::tools::Tool;
use crate::{cargo, paths};
use anyhow::{Context, Result, bail};
use probe_vm::install::Installer;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const MDBOOK: Tool = Tool {
    name: "mdbook",
    version: "0.5.4",
    to: "to build the book",
    // Serving and watching are not needed here and take most of its compile time.
    features: &["--no-default-features", "--features", "search"],
};

/// The folder that `docs/book.toml` names for the built book.
const BUILT: &str = "target/book";

/// Build the book of docs/ into target/book, and check its links
#[derive(clap::Args)]
pub(crate) struct Args {}

impl Args {
    /// Builds and checks the book, and prints the path of its first page.
    ///
    /// # Errors
    /// As [`check`].
    pub(crate) fn run(self, install: &Installer) -> Result<()> {
        check(install)?;
        println!("{}", paths::root().join(BUILT).join("index.html").display());
        Ok(())
    }
}

/// Builds the book and follows its links.
///
/// # Errors
/// mdBook cannot be installed, or fails; a link is broken.
pub(crate) fn check(install: &Installer) -> Result<()> {
    let built = paths::root().join(BUILT);
    // Pages left from earlier builds would hide links to what is gone.
    if built.exists() {
        fs::remove_dir_all(&built).with_context(|| format!("cannot remove {}", built.display()))?;
    }
    cargo::run(MDBOOK.command(install)?.arg("build").arg(paths::root().join("docs")))?;
    let broken = broken(&built)?;
    if !broken.is_empty() {
        bail!("the book has broken links:\n  {}", broken.join("\n  "));
    }
    Ok(())
}

/// Links in a folder of web pages whose file, or place in a file, does not exist.
fn broken(folder: &Path) -> Result<Vec<String>> {
    let folder = folder.canonicalize()?;
    let mut pages = BTreeMap::new();
    read(&folder, &mut pages)?;
    let mut broken = Vec::new();
    for (page, html) in &pages {
        // The page for missing addresses is served for any address: its links start at the server's
        // root.
        if page.ends_with("404.html") {
            continue;
        }
        let links = attributes(html, "href").chain(attributes(html, "src"));
        for link in links.filter(|link| !link.contains("://") && !link.starts_with("data:")) {
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let near = page.parent().context("a page stands in a folder")?;
            let file =
                if file.is_empty() { Ok(page.clone()) } else { near.join(file).canonicalize() };
            let leads = file.is_ok_and(|file| {
                file.starts_with(&folder)
                    && (place.is_empty()
                        || pages
                            .get(&file)
                            .is_some_and(|html| attributes(html, "id").any(|id| id == place)))
            });
            if !leads {
                let page = page.strip_prefix(&folder).unwrap_or(page).display();
                broken.push(format!("{page}: {link}"));
            }
        }
    }
    Ok(broken)
}

/// The pages of a folder, by path.
fn read(folder: &Path, pages: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read(&path, pages)?;
        } else if path.extension().is_some_and(|extension| extension == "html") {
            let html = fs::read_to_string(&path)?;
            pages.insert(path, html);
        }
    }
    Ok(())
}

/// The values of an attribute. In text, quotation marks are written as entities.
fn attributes<'a>(html: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let values = html.split(&format!(" {name}=\"")).skip(1).collect::<Vec<_>>();
    values.into_iter().filter_map(|rest| rest.split('"').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, html: &str| fs::write(folder.path().join(name), html).unwrap();
        fs::create_dir(folder.path().join("guide")).unwrap();
        write("logo.svg", "");
        write("index.html", r#"<h1 id="top"><a href="guide/a.html#first">a</a></h1>"#);
        write(
            "guide/a.html",
            r##"<h2 id="first">First</h2><img src="../logo.svg"><a href="#first"></a>
            <a href="https://example.org/x"></a><code>href=&quot;no&quot;</code>
            <a href="b.html"></a><a href="../index.html#gone"></a><a href="../../outside"></a>"##,
        );
        write("404.html", r#"<a href="/x.html"></a>"#);
        let expected = [
            "guide/a.html: b.html",
            "guide/a.html: ../index.html#gone",
            "guide/a.html: ../../outside",
        ];
        assert_eq!(broken(folder.path()).unwrap(), expected);
    }
}
