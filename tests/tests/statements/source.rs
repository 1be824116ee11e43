//! SQL statements in Rust source, and the types that their rows are read as.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Expr, ExprCall, GenericArgument, Item, ItemStruct, ItemUse, Lit, PathArguments, PathSegment,
    Token, Type, UseTree,
};

/// A source file.
pub struct Source {
    owner: String,
    path: PathBuf,
    text: String,
    file: syn::File,
}

/// A statement in a source file.
pub struct Statement {
    /// The crate that contains it.
    pub owner: String,
    /// The file that contains it.
    pub place: String,
    /// Its text.
    pub sql: String,
    /// What its rows are read as.
    pub row: Row,
}

/// What rows are read as.
#[derive(Clone, Debug)]
pub enum Row {
    /// They are not read.
    Ignored,
    /// So many values, by position.
    Unnamed(usize),
    /// A struct with these fields, by name.
    Named(Vec<String>),
}

impl Source {
    /// Every source file of a crate.
    pub fn of_crate(root: &Path) -> Vec<Self> {
        let owner = root.file_name().expect("a crate has a folder").to_string_lossy().into_owned();
        let mut folders = vec![root.join("src")];
        let mut sources = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            {
                let path = entry.expect("a folder can be read").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = fs::read_to_string(&path).expect("a source file can be read");
                    sources.push(Self::read(&owner, path, &text));
                }
            }
        }
        sources
    }

    /// A source file with this text.
    pub fn read(owner: &str, path: PathBuf, text: &str) -> Self {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { owner: owner.to_owned(), path, text: text.to_owned(), file }
    }

    fn structs(&self) -> impl Iterator<Item = &ItemStruct> {
        self.file.items.iter().filter_map(|item| match item {
            Item::Struct(item) => Some(item),
            _ => None,
        })
    }
}

/// Every statement of these sources. Panics where one can't be read.
pub fn statements(sources: &[Source]) -> Vec<Statement> {
    try_statements(sources).unwrap_or_else(|reason| panic!("{reason}"))
}

/// Every statement of these sources, or why one can't be read.
pub fn try_statements(sources: &[Source]) -> Result<Vec<Statement>, String> {
    let texts = Texts::of(sources);
    let mut statements = Vec::new();
    for source in sources {
        let mut calls = Calls::default();
        calls.visit_file(&source.file);
        // In quotes it is what sqlx calls its own log, and a type is no call.
        let calls_only = source.text.replace(r#""sqlx::query""#, "").replace("sqlx::query::QueryAs", "");
        let written = calls_only.matches("sqlx::query").count();
        let place = source.path.display().to_string();
        if calls.imported {
            return Err(format!(
                "{place}: imports a function of sqlx; write sqlx::query… where it is called"
            ));
        }
        if calls.found.len() != written {
            let found = calls.found.len();
            return Err(format!("{place}: {written} calls of sqlx::query…, {found} of them can be read"));
        }
        for Call { segment, argument } in calls.found {
            let sql = texts
                .value(source, &argument)
                .ok_or_else(|| format!("{place}: a statement that is no literal"))?;
            check_record_columns(sources, source, &sql)?;
            let row = row(sources, source, &segment)?;
            statements.push(Statement { owner: source.owner.clone(), place: place.clone(), sql, row });
        }
    }
    Ok(statements)
}

/// A call of `sqlx::query…(argument…)`.
struct Call {
    segment: PathSegment,
    argument: Expr,
}

#[derive(Default)]
struct Calls {
    found: Vec<Call>,
    /// Whether a function of sqlx is imported: its calls are not found.
    imported: bool,
}

impl<'ast> Visit<'ast> for Calls {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.imported |=
            matches!(&item.tree, UseTree::Path(path) if path.ident == "sqlx" && imports_query(&path.tree));
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(function) = &*call.func {
            let segments: Vec<_> = function.path.segments.iter().collect();
            if let [krate, segment] = segments[..]
                && krate.ident == "sqlx"
                && is_query(&segment.ident.to_string())
                && let Some(argument) = call.args.first()
            {
                self.found.push(Call { segment: segment.clone(), argument: argument.clone() });
            }
        }
        visit::visit_expr_call(self, call);
    }
}

fn imports_query(tree: &UseTree) -> bool {
    match tree {
        UseTree::Path(path) => imports_query(&path.tree),
        UseTree::Name(name) => is_query(&name.ident.to_string()),
        UseTree::Rename(renamed) => is_query(&renamed.ident.to_string()),
        UseTree::Group(group) => group.items.iter().any(imports_query),
        UseTree::Glob(_) => true,
    }
}

fn is_query(name: &str) -> bool {
    name == "query" || name.starts_with("query_")
}

/// Texts that have a name: constants of a file, and macros that expand to one.
struct Texts {
    constants: HashMap<(PathBuf, String), Expr>,
    macros: HashMap<String, String>,
}

impl Texts {
    fn of(sources: &[Source]) -> Self {
        let (mut constants, mut macros) = (HashMap::new(), HashMap::new());
        for source in sources {
            for item in &source.file.items {
                match item {
                    Item::Const(item) => {
                        constants.insert((source.path.clone(), item.ident.to_string()), (*item.expr).clone());
                    }
                    Item::Macro(item) => {
                        if let (Some(name), Some(text)) = (&item.ident, text_of_macro(&item.mac.tokens)) {
                            macros.insert(name.to_string(), text);
                        }
                    }
                    _ => {}
                }
            }
        }
        Self { constants, macros }
    }

    /// The text that an expression evaluates to, if the source determines it.
    fn value(&self, source: &Source, expression: &Expr) -> Option<String> {
        match expression {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            Expr::Path(path) => {
                let name = path.path.get_ident()?.to_string();
                self.value(source, self.constants.get(&(source.path.clone(), name))?)
            }
            Expr::Macro(call) if call.mac.path.is_ident("concat") => {
                let parts =
                    Punctuated::<Expr, Token![,]>::parse_terminated.parse2(call.mac.tokens.clone()).ok()?;
                parts.iter().map(|part| self.value(source, part)).collect()
            }
            Expr::Macro(call) => self.macros.get(&call.mac.path.get_ident()?.to_string()).cloned(),
            _ => None,
        }
    }
}

/// The text of `() => { "text" }`.
fn text_of_macro(tokens: &proc_macro2::TokenStream) -> Option<String> {
    let body = tokens.clone().into_iter().filter_map(|token| match token {
        proc_macro2::TokenTree::Group(group) => Some(group.stream()),
        _ => None,
    });
    let literal: Lit = syn::parse2(body.last()?).ok()?;
    match literal {
        Lit::Str(text) => Some(text.value()),
        _ => None,
    }
}

/// What the rows of a call are read as, by its type arguments.
fn row(sources: &[Source], source: &Source, function: &PathSegment) -> Result<Row, String> {
    let name = function.ident.to_string();
    if name == "query" || name == "query_with" {
        return Ok(Row::Ignored);
    }
    let place = source.path.display();
    let PathArguments::AngleBracketed(arguments) = &function.arguments else {
        return Err(format!("{place}: {name} without ::<_, Type>"));
    };
    let Some(GenericArgument::Type(output)) = arguments.args.iter().nth(1) else {
        return Err(format!("{place}: {name} without ::<_, Type>"));
    };
    if name.starts_with("query_scalar") {
        return Ok(Row::Unnamed(1));
    }
    match output {
        Type::Tuple(values) => Ok(Row::Unnamed(values.elems.len())),
        Type::Path(path) => {
            let name = path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
            let fields = fields(sources, source, &name, "FromRow");
            fields.map(Row::Named).ok_or_else(|| format!("{place}: no row struct {name}"))
        }
        _ => Err(format!("{place}: {name} reads its rows as a type that is neither a struct nor a tuple")),
    }
}

/// The fields of the struct `name` that derives `derived`, of this source if there is one, those of flattened ones included.
fn fields(sources: &[Source], source: &Source, name: &str, derived: &str) -> Option<Vec<String>> {
    let here = source.structs().find(|item| item.ident == name && derives(item, derived));
    let anywhere = || {
        let mut found = sources.iter().flat_map(Source::structs);
        found.find(|item| item.ident == name && derives(item, derived))
    };
    fields_of(sources, source, here.or_else(anywhere)?, derived)
}

fn fields_of(sources: &[Source], source: &Source, item: &ItemStruct, derived: &str) -> Option<Vec<String>> {
    let attribute = if derived == "FromRow" { "sqlx" } else { "serde" };
    let mut names = Vec::new();
    for field in &item.fields {
        let settings: String = field
            .attrs
            .iter()
            .filter(|setting| setting.path().is_ident(attribute))
            .filter_map(|setting| Some(setting.meta.require_list().ok()?.tokens.to_string()))
            .collect();
        if settings.contains("flatten") {
            let inner = match &field.ty {
                Type::Reference(reference) => &*reference.elem,
                owned => owned,
            };
            let Type::Path(path) = inner else { return None };
            names.extend(fields(sources, source, &path.path.segments.last()?.ident.to_string(), derived)?);
        } else if let Some((_, renamed)) = settings.split_once("rename = \"") {
            names.push(renamed.split('"').next()?.to_owned());
        } else {
            names.push(field.ident.as_ref()?.to_string());
        }
    }
    Some(names)
}

fn derives(item: &ItemStruct, derived: &str) -> bool {
    mentions(&item.attrs, derived)
}

fn mentions(attributes: &[Attribute], word: &str) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.tokens.to_string().contains(word),
        _ => false,
    })
}

/// Compares `jsonb_to_recordset($1) AS name (column type, …)` with the structs of its file: a column that no struct writes
/// would silently be NULL, and a field without a column would silently be lost.
fn check_record_columns(sources: &[Source], source: &Source, sql: &str) -> Result<(), String> {
    let Some((_, definition)) = sql.split_once("jsonb_to_recordset($1)") else { return Ok(()) };
    let columns =
        definition.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(columns, _)| columns);
    let columns: Vec<&str> = columns
        .unwrap_or_default()
        .split(',')
        .filter_map(|column| column.split_whitespace().next())
        .collect();
    // Those of the file, or the one that the outbox stores.
    let imported = sources.iter().flat_map(Source::structs).filter(|item| item.ident == "Message");
    let written: Vec<Vec<String>> = source
        .structs()
        .chain(imported)
        .filter(|item| derives(item, "Serialize"))
        .filter_map(|item| fields_of(sources, source, item, "Serialize"))
        .collect();
    let is_written = |fields: &Vec<String>| {
        fields.len() == columns.len()
            && columns.iter().all(|column| fields.iter().any(|field| field == column))
    };
    if written.iter().any(is_written) {
        Ok(())
    } else {
        Err(format!("{}: no struct has exactly the columns {columns:?}", source.path.display()))
    }
}
