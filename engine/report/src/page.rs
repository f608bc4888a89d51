//! The HTML page: headings, paragraphs, tables, figures, in the order in which they are added.

use std::fmt::Write as _;

use serde_json::Value;

use crate::escape::{cell, escape, prose};

const STYLE: &str = include_str!("../assets/page.css");

/// What pages of the local server have on top of it: links, forms, states. Files that are written do not carry it.
const SERVED_STYLE: &str = include_str!("../assets/served.css");

/// A page under construction.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    title: String,
    body: String,
    contents: Vec<(String, String)>,
    served: Option<Served>,
}

/// What only a page of the local server has.
#[derive(Clone, Debug, Default)]
struct Served {
    trail: String,
    head: String,
}

/// A cell of a table: its class, and what stands in it, as HTML.
pub(crate) type Cell = (&'static str, String);

impl Page {
    /// A page with a title and nothing else.
    pub(crate) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), body: String::new(), contents: Vec::new(), served: None }
    }

    /// A page of the local server: links (address and text) stand above its title; `head` is HTML made by this program.
    pub(crate) fn served(title: &str, links: &[(String, &str)], head: &str) -> Self {
        let trail: String = links.iter().map(|(to, text)| link(to, text)).collect();
        let served = Served { trail: format!("<nav class=\"trail\">{trail}</nav>\n"), head: head.to_owned() };
        Self { served: Some(served), ..Self::new(title) }
    }

    /// HTML made by this program, as it is.
    pub(crate) fn html(&mut self, html: &str) {
        self.body.push_str(html);
        self.body.push('\n');
    }

    /// A section heading, listed in the table of contents.
    pub(crate) fn section(&mut self, heading: &str) {
        let anchor = format!("section-{}", self.contents.len() + 1);
        let _ = writeln!(self.body, "<h2 id=\"{anchor}\">{}</h2>", escape(heading));
        self.contents.push((anchor, heading.to_owned()));
    }

    /// A paragraph of plain text.
    pub(crate) fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p>{}</p>", prose(text));
    }

    /// Warnings, set apart; nothing when there are none.
    pub(crate) fn warnings<'a>(&mut self, warnings: impl IntoIterator<Item = &'a str>) {
        let items: String = warnings.into_iter().map(|w| format!("<li>{}</li>", prose(w))).collect();
        if !items.is_empty() {
            let _ = writeln!(
                self.body,
                "<div class=\"warnings\"><strong>Warnings</strong><ul>{items}</ul></div>"
            );
        }
    }

    /// The headline: big numbers with their names.
    pub(crate) fn headline(&mut self, numbers: &[(String, Option<f64>)]) {
        if numbers.is_empty() {
            return;
        }
        self.body.push_str("<div class=\"headline\">");
        for (name, value) in numbers {
            let value = value.map_or_else(|| "undefined".to_owned(), |v| format!("{v:.3}"));
            let _ = write!(self.body, "<div><b>{value}</b><span>{}</span></div>", escape(name));
        }
        self.body.push_str("</div>\n");
    }

    /// A table with a caption.
    pub(crate) fn table(&mut self, caption: &str, columns: &[String], rows: &[Vec<Value>], note: &str) {
        let class = |value: &Value| match value {
            Value::Number(_) => "number",
            Value::Null => "missing",
            Value::String(text) if text.chars().count() > 60 => "long",
            _ => "",
        };
        let cells = |row: &Vec<Value>| row.iter().map(|value| (class(value), cell(value))).collect();
        self.cells(caption, columns, &rows.iter().map(cells).collect::<Vec<_>>(), note);
    }

    /// A table of cells that are HTML already.
    pub(crate) fn cells(&mut self, caption: &str, columns: &[String], rows: &[Vec<Cell>], note: &str) {
        self.body.push_str("<figure class=\"table\">");
        if !caption.is_empty() {
            let _ = write!(self.body, "<figcaption>{}</figcaption>", escape(caption));
        }
        self.body.push_str("<div class=\"scroll\"><table><thead><tr>");
        for column in columns {
            let _ = write!(self.body, "<th>{}</th>", escape(column));
        }
        self.body.push_str("</tr></thead><tbody>");
        for row in rows {
            self.body.push_str("<tr>");
            for (class, html) in row {
                let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
                let _ = write!(self.body, "<td{class}>{html}</td>");
            }
            self.body.push_str("</tr>");
        }
        self.body.push_str("</tbody></table></div>");
        if !note.is_empty() {
            let _ = write!(self.body, "<p class=\"note\">{}</p>", escape(note));
        }
        self.body.push_str("</figure>\n");
    }

    /// A picture made by this program: `svg` is inserted as it is.
    pub(crate) fn picture(&mut self, caption: &str, svg: &str, note: &str) {
        let _ = write!(self.body, "<figure><figcaption>{}</figcaption>{svg}", escape(caption));
        if !note.is_empty() {
            let _ = write!(self.body, "<p class=\"note\">{}</p>", escape(note));
        }
        self.body.push_str("</figure>\n");
    }

    /// Starts a row of figures that stand side by side where there is room.
    pub(crate) fn open_row(&mut self) {
        self.body.push_str("<div class=\"row\">\n");
    }

    /// Ends a row of figures.
    pub(crate) fn close_row(&mut self) {
        self.body.push_str("</div>\n");
    }

    /// The whole file.
    pub(crate) fn finish(self) -> String {
        let title = escape(&self.title);
        let contents = if self.contents.len() > 2 {
            let items: String = self
                .contents
                .iter()
                .map(|(anchor, heading)| format!("<a href=\"#{anchor}\">{}</a>", escape(heading)))
                .collect();
            format!("<nav>{items}</nav>\n")
        } else {
            String::new()
        };
        let (trail, head, more) = match &self.served {
            Some(served) => (served.trail.as_str(), served.head.as_str(), SERVED_STYLE),
            None => ("", "", ""),
        };
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"generator\" content=\"celldag\">\n<title>{title}</title>\n<style>\n{STYLE}{more}</style>\n{head}</head>\n\
             <body>\n<main>\n{trail}<h1>{title}</h1>\n{contents}{}</main>\n</body>\n</html>\n",
            self.body
        )
    }
}

/// A link.
pub(crate) fn link(to: &str, text: &str) -> String {
    format!("<a href=\"{}\">{}</a>", escape(to), escape(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_write_cannot_break_the_page() {
        let mut page = Page::new("<script>alert(1)</script>");
        page.section("a & b");
        page.paragraph("<img src=x onerror=alert(1)>");
        page.table("t", &["<b>".into()], &[vec![serde_json::json!("<i>"), Value::Null]], "\"");
        page.warnings(["<w>"]);
        let html = page.finish();
        for tag in ["<script", "<img", "<i>", "<w>", "<b>"] {
            assert!(!html.contains(tag), "{tag} in {html}");
        }
        assert!(html.contains("undefined"), "an undefined number is shown as such");
    }
}
