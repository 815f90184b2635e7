use super::*;
#[derive(Args)]
pub struct Generate {}
impl Generate {
    pub async fn run(self, _g: &Global, _o: &Output) -> anyhow::Result<Exit> { Ok(Exit::Done) } }
