/**
 * ECS Exec beside a read-only root: its agent writes under these two folders,
 * so each gets a volume that lives as long as the task. Outside production only.
 */
import type { ContainerDefinition, FargateTaskDefinition } from 'aws-cdk-lib/aws-ecs';

const AGENT_FOLDERS = { 'exec-state': '/var/lib/amazon', 'exec-logs': '/var/log/amazon' };

export function makeExecPossible(task: FargateTaskDefinition, container: ContainerDefinition): void {
  for (const [name, containerPath] of Object.entries(AGENT_FOLDERS)) {
    task.addVolume({ name });
    container.addMountPoints({ sourceVolume: name, containerPath, readOnly: false });
  }
}
