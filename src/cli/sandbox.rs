use super::*;
#[derive(Args)]
pub struct Sandbox {}
impl Sandbox {
    pub async fn run(self, _a: &App) -> anyhow::Result<Exit> { Ok(Exit::Done) } }
