//! Processes, functions and workflows of the part of Groovy that celldag writes. Anything else is a panic: what is written
//! must stay within what this test understands.

use super::lex::{Lexeme, Piece, Token, lex};

#[derive(Clone, Debug)]
pub(super) enum Expr {
    Null,
    Bool(bool),
    Int(i64),
    Text(Vec<Part>),
    Name(String),
    List(Vec<Expr>),
    Map(Vec<(String, Expr)>),
    Member(Box<Expr>, String),
    Index(Box<Expr>, Box<Expr>),
    Call { on: Option<Box<Expr>>, name: String, args: Args },
    Closure(Lambda),
    Choose(Box<Expr>, Box<Expr>, Box<Expr>),
    Elvis(Box<Expr>, Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
}

#[derive(Clone, Debug)]
pub(super) enum Part {
    Plain(String),
    Code(Expr),
}

#[derive(Clone, Debug)]
pub(super) struct Lambda {
    pub(super) params: Vec<String>,
    pub(super) body: Vec<Stmt>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Args {
    pub(super) plain: Vec<Expr>,
    pub(super) named: Vec<(String, Expr)>,
}

#[derive(Clone, Debug)]
pub(super) enum Stmt {
    Assign(String, Expr),
    If(Expr, Vec<Stmt>),
    Expr(Expr),
}

/// One line of `input:` or `output:`, or a directive: `tuple val(meta), path(cells), emit: cells`.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) word: String,
    pub(super) args: Args,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) directives: Vec<Line>,
    pub(super) inputs: Vec<Line>,
    pub(super) outputs: Vec<Line>,
    pub(super) when: Vec<Stmt>,
    pub(super) script: Vec<Stmt>,
    pub(super) stub: Vec<Stmt>,
    /// Functions of the file in which it stands.
    pub(super) functions: Vec<(String, Lambda)>,
}

impl Process {
    /// It declares several inputs, which come as one item.
    pub(super) fn takes_a_tuple(&self) -> bool {
        self.inputs.iter().any(|line| line.word == "tuple")
    }

    /// `maxRetries` of a process with the label `retried`.
    pub(super) fn retries(&self) -> i64 {
        let directive = |word: &'static str| self.directives.iter().filter(move |line| line.word == word);
        let labelled = directive("label").any(|line| {
            matches!(&line.args.plain[..], [Expr::Text(parts)] if matches!(&parts[..], [Part::Plain(text)] if text == "retried"))
        });
        let most = directive("maxRetries").find_map(|line| match line.args.plain[..] {
            [Expr::Int(count)] => Some(count),
            _ => None,
        });
        assert_eq!(
            labelled,
            most.is_some(),
            "{}: `maxRetries` without `retried`, or the other way round",
            self.name
        );
        most.unwrap_or(0)
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct File {
    pub(super) includes: Vec<(String, String)>,
    pub(super) processes: Vec<Process>,
    pub(super) functions: Vec<(String, Lambda)>,
    pub(super) workflow: Vec<Stmt>,
}

pub(super) fn parse(source: &str) -> File {
    let mut parser = Parser { tokens: lex(source), at: 0 };
    let mut file = File::default();
    while parser.at < parser.tokens.len() {
        match parser.name().as_str() {
            "include" => {
                parser.expect("{");
                let name = parser.name();
                parser.expect("}");
                assert_eq!(parser.name(), "from");
                let Expr::Text(parts) = parser.primary() else { panic!("a path") };
                let Some(Part::Plain(path)) = parts.first() else { panic!("a plain path") };
                file.includes.push((name, path.clone()));
            }
            "process" => file.processes.push(parser.process()),
            "def" => {
                let name = parser.name();
                let params = parser.params();
                parser.expect("{");
                file.functions.push((name, Lambda { params, body: parser.block("}") }));
            }
            "workflow" => {
                parser.expect("{");
                file.workflow = parser.block("}");
            }
            other => panic!("outside of the subset: {other}"),
        }
    }
    file.processes.iter_mut().for_each(|process| process.functions.clone_from(&file.functions));
    file
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

const SECTIONS: [&str; 5] = ["input", "output", "when", "script", "stub"];

impl Parser {
    fn peek(&self) -> Option<&Lexeme> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Lexeme::Sign(found)) if *found == sign)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) {
        assert!(self.take(sign), "{sign} expected before {:?}", self.tokens.get(self.at..self.at + 3));
    }

    fn name(&mut self) -> String {
        let Some(Lexeme::Name(name)) = self.peek().cloned() else { panic!("a name, not {:?}", self.peek()) };
        self.at += 1;
        name
    }

    /// Whether what follows stands on the same line.
    fn same_line(&self) -> bool {
        self.tokens.get(self.at).is_some_and(|token| !token.first)
    }

    fn is_label(&self) -> bool {
        let next = self.tokens.get(self.at + 1).map(|token| &token.kind);
        matches!(self.peek(), Some(Lexeme::Name(_))) && matches!(next, Some(Lexeme::Sign(":")))
    }

    fn process(&mut self) -> Process {
        let mut process = Process { name: self.name(), ..Process::default() };
        self.expect("{");
        let mut section = String::new();
        while !self.take("}") {
            if self.is_label() {
                section = self.name();
                assert!(SECTIONS.contains(&section.as_str()), "section {section}");
                self.expect(":");
                continue;
            }
            match section.as_str() {
                "" => process.directives.push(self.line()),
                "input" => process.inputs.push(self.line()),
                "output" => process.outputs.push(self.line()),
                "when" => process.when.push(self.stmt()),
                "script" => process.script.push(self.stmt()),
                _ => process.stub.push(self.stmt()),
            }
        }
        process
    }

    fn line(&mut self) -> Line {
        let word = self.name();
        let mut args = Args::default();
        loop {
            self.arg(&mut args);
            if !self.take(",") {
                return Line { word, args };
            }
        }
    }

    fn arg(&mut self, args: &mut Args) {
        if self.is_label() {
            let name = self.name();
            self.expect(":");
            args.named.push((name, self.expr()));
        } else {
            args.plain.push(self.expr());
        }
    }

    fn params(&mut self) -> Vec<String> {
        self.expect("(");
        let mut params = Vec::new();
        while !self.take(")") {
            params.push(self.name());
            self.take(",");
        }
        params
    }

    fn block(&mut self, end: &str) -> Vec<Stmt> {
        let mut out = Vec::new();
        while !self.take(end) {
            out.push(self.stmt());
        }
        out
    }

    fn stmt(&mut self) -> Stmt {
        let word = match self.peek() {
            Some(Lexeme::Name(name)) => name.clone(),
            _ => String::new(),
        };
        if word == "if" {
            self.at += 1;
            self.expect("(");
            let condition = self.expr();
            self.expect(")");
            self.expect("{");
            return Stmt::If(condition, self.block("}"));
        }
        if word == "def" || word == "return" {
            self.at += 1;
        }
        let next = self.tokens.get(self.at + 1).map(|token| &token.kind);
        if word != "return"
            && matches!(self.peek(), Some(Lexeme::Name(_)))
            && matches!(next, Some(Lexeme::Sign("=")))
        {
            let name = self.name();
            self.expect("=");
            return Stmt::Assign(name, self.expr());
        }
        Stmt::Expr(self.expr())
    }

    fn expr(&mut self) -> Expr {
        let left = self.binary(0);
        if self.take("?:") {
            return Expr::Elvis(Box::new(left), Box::new(self.expr()));
        }
        if self.take("?") {
            let yes = self.expr();
            self.expect(":");
            return Expr::Choose(Box::new(left), Box::new(yes), Box::new(self.expr()));
        }
        left
    }

    fn binary(&mut self, level: usize) -> Expr {
        const LEVELS: [&[&str]; 5] = [&["||"], &["&&"], &["==", "!="], &[".."], &["+", "-"]];
        let Some(signs) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1);
        while let Some(sign) = signs.iter().find(|sign| self.is(sign)) {
            self.at += 1;
            left = Expr::Binary(sign, Box::new(left), Box::new(self.binary(level + 1)));
        }
        left
    }

    fn unary(&mut self) -> Expr {
        if self.take("!") {
            return Expr::Not(Box::new(self.unary()));
        }
        let mut on = self.primary();
        loop {
            if self.take(".") {
                let name = self.name();
                on = if (self.is("(") || self.is("{")) && self.same_line() {
                    Expr::Call { on: Some(Box::new(on)), name, args: self.args() }
                } else {
                    Expr::Member(Box::new(on), name)
                };
            } else if self.is("[") && self.same_line() {
                self.at += 1;
                let index = self.expr();
                self.expect("]");
                on = Expr::Index(Box::new(on), Box::new(index));
            } else {
                return on;
            }
        }
    }

    /// `(a, b: c)`, `{ closure }`, or both.
    fn args(&mut self) -> Args {
        let mut args = Args::default();
        if self.take("(") {
            while !self.take(")") {
                self.arg(&mut args);
                self.take(",");
            }
        }
        if self.is("{") && self.same_line() {
            args.plain.push(self.closure());
        }
        args
    }

    fn closure(&mut self) -> Expr {
        self.expect("{");
        let start = self.at;
        let mut params = Vec::new();
        while let Some(Lexeme::Name(name)) = self.peek().cloned() {
            self.at += 1;
            params.push(name);
            if self.take("->") {
                return Expr::Closure(Lambda { params, body: self.block("}") });
            }
            if !self.take(",") {
                break;
            }
        }
        self.at = start;
        Expr::Closure(Lambda { params: Vec::new(), body: self.block("}") })
    }

    fn primary(&mut self) -> Expr {
        if self.take("(") {
            let inner = self.expr();
            self.expect(")");
            return inner;
        }
        if self.is("{") {
            return self.closure();
        }
        if self.take("[") {
            return self.list();
        }
        let token = self.peek().cloned().expect("more");
        self.at += 1;
        match token {
            Lexeme::Int(number) => Expr::Int(number),
            Lexeme::Text(pieces) => Expr::Text(pieces.into_iter().map(part).collect()),
            Lexeme::Name(name) => match name.as_str() {
                "null" => Expr::Null,
                "true" => Expr::Bool(true),
                "false" => Expr::Bool(false),
                _ if self.is("(") && self.same_line() => Expr::Call { on: None, name, args: self.args() },
                _ => Expr::Name(name),
            },
            Lexeme::Sign(sign) => panic!("outside of the subset: {sign}"),
        }
    }

    fn list(&mut self) -> Expr {
        if self.take(":") {
            self.expect("]");
            return Expr::Map(Vec::new());
        }
        let mut args = Args::default();
        while !self.take("]") {
            self.arg(&mut args);
            self.take(",");
        }
        if args.named.is_empty() { Expr::List(args.plain) } else { Expr::Map(args.named) }
    }
}

fn part(piece: Piece) -> Part {
    match piece {
        Piece::Plain(text) => Part::Plain(text),
        Piece::Code(code) => Part::Code(Parser { tokens: lex(&code), at: 0 }.expr()),
    }
}
