#pragma once

/// The folder that all steps of a run share, as the SDK knows it (execution.md 2.16, 4.4).

namespace caudal::model {

/// Where a step sees it; also what `{{$.workspace_path}}` stands for.
inline constexpr char kWorkspacePath[] = "/kfp-workspace";

/// Metadata of an artifact whose bytes lie in the workspace.
inline constexpr char kWorkspaceMark[] = "_kfp_workspace";

}  // namespace caudal::model
